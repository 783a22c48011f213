use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error), Seen)]
#[initial(Queued)]
#[completed(Fetched, Seen)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
#[transition(see: Failed => Seen, load(Page))]
struct Fetch {}

fn main() {}
