use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetched)]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[transition(fetch: Queued => Fetched, persist(Page), within)]
struct Fetch {}

fn main() {}
