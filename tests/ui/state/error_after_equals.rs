use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped, Lost = error)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped)]
#[transition(lose: Paid => Lost)]
struct Order {}

fn main() {}
