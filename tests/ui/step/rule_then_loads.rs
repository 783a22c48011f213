use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Parsed, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Parsed(persist(Page), then(parse)), fail(Failed))]
#[transition(parse: Parsed => Fetched, load(Page))]
struct Fetch {}

fn main() {}
