use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "/ui/lock/order.flow")]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped, load(Receipt))]
struct Order {}

fn main() {}
