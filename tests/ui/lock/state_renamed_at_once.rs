use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "ui/lock/order.flow")]
#[state(Pending, Charged(alias = "paid"), Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Charged, persist(Receipt))]
#[transition(ship: Charged => Shipped, load(Receipt))]
struct Order {}

fn main() {}
