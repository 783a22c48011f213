use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Vec<String>)]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Vec<String>)), fail(Failed))]
struct Fetch {}

fn main() {}
