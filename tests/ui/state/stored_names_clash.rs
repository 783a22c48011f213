use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped, PAID)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped)]
#[transition(pay_again: Paid => PAID)]
#[transition(ship_again: PAID => Shipped)]
struct Order {}

fn main() {}
