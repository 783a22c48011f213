use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped, Returned)]
#[initial(Pending)]
#[completed(Pending, Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(resend: Returned => Paid)]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
