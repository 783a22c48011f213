use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Checked, Trusted, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(check: Pending => Checked)]
#[transition(pay: Checked => Paid, persist(Receipt))]
#[transition(trust: Checked => Trusted)]
#[transition(ship: Paid | Trusted => Shipped, load(Receipt))]
struct Order {}

fn main() {}
