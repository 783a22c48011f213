use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "ui/lock/order.flow")]
#[state(Pending, PaidByCard, PaidByBank, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => PaidByCard, persist(Receipt))]
#[transition(transfer: Pending => PaidByBank, persist(Receipt))]
#[transition(ship: PaidByCard | PaidByBank => Shipped, load(Receipt))]
struct Order {}

fn main() {}
