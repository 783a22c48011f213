use flowstate::Flow;
use flowstate_diesel::Step;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Kept, Failed(error))]
#[initial(Queued)]
#[completed(Kept)]
#[persist(Page(String))]
#[transition(start: Queued | Failed => Fetching)]
#[transition(finish: Fetching => Fetched, persist(Page))]
#[transition(end: Fetched => Kept)]
#[transition(fail: Fetching => Failed)]
struct Fetch {}

fn main() {
    let _ = Step::start(Fetch::START).then(Fetch::END).finish(Fetch::FINISH).fail(Fetch::FAIL);
}
