use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Gone, Failed(error))]
#[initial(Queued)]
#[completed(Fetched, Gone)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist()) | Gone, fail(Failed))]
struct Fetch {}

fn main() {}
