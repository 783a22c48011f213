use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String), upgrade(ReceiptV1))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped, load(Receipt))]
struct Order {}

#[derive(Deserialize)]
struct ReceiptV1(i64);

fn main() {}
