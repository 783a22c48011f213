use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => Paid, persist())]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
