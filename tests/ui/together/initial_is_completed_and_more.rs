use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Pending, Shipped)]
#[persist(Receipt(String), Label(u64))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
