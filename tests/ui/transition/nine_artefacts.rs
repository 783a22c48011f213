use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(P1(u8), P2(u8), P3(u8), P4(u8), P5(u8), P6(u8), P7(u8), P8(u8), P9(u8))]
#[transition(pay: Pending => Paid, persist(P1, P2, P3, P4, P5, P6, P7, P8, P9))]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
