use flowstate::{Claim, Flow, StepError};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
struct Fetch {}

struct Handlers;

impl FetchSteps<()> for Handlers {
    fn fetch(&self, _: &Claim<FetchFetch>) -> Result<Page, StepError> {
        Ok(String::new())
    }
}

fn main() {}
