use flowstate::Flow;
use flowstate_diesel::Step;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Address(String))]
#[transition(start: Queued => Fetching, persist(Address))]
#[transition(finish: Fetching => Fetched, load(Address))]
#[transition(fail: Fetching => Failed)]
struct Fetch {}

fn main() {
    let _ = Step::start(Fetch::START);
}
