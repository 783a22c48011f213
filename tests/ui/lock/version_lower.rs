use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "ui/lock/versions.flow")]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String), version = 2, upgrade(ReceiptV1))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped, load(Receipt))]
struct Order {}

#[derive(Deserialize)]
struct ReceiptV1(i64);

impl From<ReceiptV1> for Receipt {
    fn from(before: ReceiptV1) -> Self {
        Self(before.0.to_string())
    }
}

fn main() {}
