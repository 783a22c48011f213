use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped, Cancelled)]
#[initial(Pending)]
#[completed(Shipped, Cancelled)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped)]
#[transition(cancel: * => Cancelled, load(Receipt))]
struct Order {}

fn main() {}
