use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(label(customer), secret(customer))]
#[state(Open, Done)]
#[initial(Open)]
#[completed(Done)]
#[transition(end: Open => Done)]
struct Order {
    customer: String,
    cents: u64,
}

fn main() {}
