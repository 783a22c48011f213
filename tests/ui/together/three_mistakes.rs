use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped, Lost(eror))]
#[initial(Pendig)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Reciept))]
#[transition(ship: Paid => Shipped)]
#[transition(lose: Paid => Lost)]
struct Order {}

fn main() {}
