use flowstate::{Claim, Flow, StepError};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error), Saving, Saved, NotSaved(error))]
#[initial(Queued)]
#[completed(Saved)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
#[step(save: Fetched | NotSaved => Saving => Saved, fail(NotSaved), load(Page))]
struct Fetch {}

struct Handlers;

impl FetchSteps<()> for Handlers {
    fn fetch(&self, _: &Claim<FetchFetch>) -> Result<Page, StepError> {
        Ok(Page(String::new()))
    }

    fn save(&self, _: &Claim<FetchSave>) -> Result<(), StepError> {
        Ok(())
    }
}

fn main() {}
