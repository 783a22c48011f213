use flowstate::Flow;
use flowstate_diesel::Step;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[transition(start: Queued | Failed => Fetching)]
#[transition(finish: Fetching => Fetched, persist(Page))]
#[transition(fail: Fetching => Failed)]
struct Fetch {}

fn main() {
    let _ = Step::start(Fetch::START).finish(Fetch::FINISH).fail(Fetch::START);
}
