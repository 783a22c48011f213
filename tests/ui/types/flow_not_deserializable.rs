use flowstate::Flow;
use serde::Serialize;

#[derive(Flow, Serialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
