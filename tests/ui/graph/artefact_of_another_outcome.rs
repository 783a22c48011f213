use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error), Saving, Saved, NotSaved(error), Gone)]
#[initial(Queued)]
#[completed(Saved)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)) | Gone, fail(Failed))]
#[step(save: Fetched | Gone | NotSaved => Saving => Saved, fail(NotSaved), load(Page))]
struct Fetch {}

fn main() {}
