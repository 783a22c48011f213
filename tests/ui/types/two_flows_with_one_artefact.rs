use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped)]
struct Order {}

#[derive(Flow, Serialize, Deserialize)]
#[state(Sent, Signed)]
#[initial(Sent)]
#[completed(Signed)]
#[persist(Receipt(u64))]
#[transition(sign: Sent => Signed, persist(Receipt))]
struct Parcel {}

fn main() {}
