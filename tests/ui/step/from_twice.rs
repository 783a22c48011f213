use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Gone, Failed(error))]
#[initial(Queued)]
#[completed(Fetched, Gone)]
#[step(fetch: Queued | Queued | Failed => Fetching => Fetched | Gone, fail(Failed))]
struct Fetch {}

fn main() {}
