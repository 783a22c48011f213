use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error), Saving, Saved, NotSaved(error))]
#[initial(Queued)]
#[completed(Saved)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Saving(persist(Page)), fail(Failed))]
#[step(save: Fetched | NotSaved => Saving => Saved, fail(NotSaved))]
#[transition(skip: Queued => Fetched)]
struct Fetch {}

fn main() {}
