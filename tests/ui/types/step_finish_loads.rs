use flowstate::Flow;
use flowstate_diesel::Step;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(New, Queued, Fetching, Fetched, Failed(error))]
#[initial(New)]
#[completed(Fetched)]
#[persist(Address(String))]
#[transition(queue: New => Queued, persist(Address))]
#[transition(start: Queued | Failed => Fetching)]
#[transition(finish: Fetching => Fetched, load(Address))]
#[transition(fail: Fetching => Failed)]
struct Fetch {}

fn main() {
    let _ = Step::start(Fetch::START).finish(Fetch::FINISH).fail(Fetch::FAIL);
}
