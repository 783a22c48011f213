use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetched)]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Vec<String>)]
#[transition(fetch: Queued => Fetched, persist(Vec<String>))]
struct Fetch {}

fn main() {}
