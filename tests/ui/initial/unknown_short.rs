use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(A, Pending, Paid, Shipped)]
#[initial(C)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: A | Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
