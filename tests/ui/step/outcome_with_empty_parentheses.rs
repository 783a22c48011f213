use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[step(fetch: Queued | Failed => Fetching => Fetched(), fail(Failed))]
struct Fetch {}

fn main() {}
