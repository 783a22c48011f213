use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Parsed, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Parsed(persist(Page), then(Fetched)), fail(Failed))]
#[transition(parse: Parsed => Fetched)]
struct Fetch {}

fn main() {}
