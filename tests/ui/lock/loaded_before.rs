use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "ui/lock/loaded.flow")]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped, persist(Receipt))]
struct Order {}

fn main() {}
