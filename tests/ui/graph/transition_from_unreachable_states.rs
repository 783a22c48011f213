use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped, Returned, Lost)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(lose: Returned => Lost)]
#[transition(resend: Returned | Lost => Paid)]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
