use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Parsed, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Parsed(then(parse)), fail(Failed))]
#[transition(parse: Parsed => Fetched, persist(Page))]
struct Fetch {}

fn main() {}
