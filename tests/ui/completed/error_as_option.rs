use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped(error))]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
