use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String) Label(String))]
#[transition(pay: Pending => Paid, persist(Receipt, Label))]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
