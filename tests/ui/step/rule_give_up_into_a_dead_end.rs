use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Gone, Lost, Failed(error))]
#[initial(Queued)]
#[completed(Fetched, Gone)]
#[step(fetch: Queued | Failed => Fetching => Fetched | Gone, fail(Failed), give_up(Lost))]
struct Fetch {}

fn main() {}
