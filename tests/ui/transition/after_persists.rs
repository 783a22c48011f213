use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Asked, Approved, Expired)]
#[initial(Asked)]
#[completed(Approved, Expired)]
#[persist(Note(String))]
#[transition(approve: Asked => Approved)]
#[transition(expire: Asked => Expired, persist(Note), after("3 days"))]
struct Approval {}

fn main() {}
