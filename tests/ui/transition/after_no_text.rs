use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Asked, Approved, Expired)]
#[initial(Asked)]
#[completed(Approved, Expired)]
#[transition(approve: Asked => Approved)]
#[transition(expire: Asked => Expired, after(3 days))]
struct Approval {}

fn main() {}
