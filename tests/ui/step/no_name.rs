use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
struct Fetch {}

fn main() {}
