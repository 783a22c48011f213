use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error), Asked, Asking, Lost(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
#[step(fetch_policy: Asked | Lost => Asking => Fetched, fail(Lost))]
#[transition(ask: Queued => Asked)]
struct Fetch {}

fn main() {}
