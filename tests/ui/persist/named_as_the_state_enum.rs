use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(OrderState(String))]
#[transition(pay: Pending => Paid, persist(OrderState))]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
