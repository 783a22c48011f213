use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(alias = "order")]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
