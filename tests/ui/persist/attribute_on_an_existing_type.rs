use flowstate::Flow;
use serde::{Deserialize, Serialize};

mod slip {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Receipt(u8);
}

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(#[derive(Debug)] slip::Receipt)]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
