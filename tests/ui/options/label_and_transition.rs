use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(label(cents))]
#[state(Open, Done)]
#[initial(Open)]
#[completed(Done)]
#[transition(cents: Open => Done)]
struct Order {
    customer: String,
    cents: u64,
}

fn main() {}
