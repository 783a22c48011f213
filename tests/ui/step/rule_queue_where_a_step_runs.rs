use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error), Saving, Saved, NotSaved(error))]
#[initial(Queued)]
#[completed(Fetched, Saved)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
#[step(save: Fetching | NotSaved => Saving => Saved, fail(NotSaved))]
struct Fetch {}

fn main() {}
