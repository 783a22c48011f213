use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Parsed, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched, Parsed)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetched => Parsed(persist(Page)), fail(Failed))]
struct Fetch {}

fn main() {}
