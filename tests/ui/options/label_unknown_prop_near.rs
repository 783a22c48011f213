use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(label(custommer))]
#[state(Open, Done)]
#[initial(Open)]
#[completed(Done)]
#[transition(end: Open => Done)]
struct Order {
    customer: String,
    cents: u64,
}

fn main() {}
