use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error), Saved, NotSaved(error))]
#[initial(Queued)]
#[completed(Saved)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
#[step(save: Fetched | NotSaved => Fetching => Saved, fail(NotSaved))]
struct Fetch {}

fn main() {}
