use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "ui/lock/order.flow")]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Bill(String), alias = "receipt")]
#[transition(pay: Pending => Paid, persist(Bill))]
#[transition(ship: Paid => Shipped, load(Bill))]
struct Order {}

fn main() {}
