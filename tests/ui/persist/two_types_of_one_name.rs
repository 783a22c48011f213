use flowstate::Flow;
use serde::{Deserialize, Serialize};

mod a {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Receipt(u8);
}

mod b {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Receipt(u8);
}

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(a::Receipt, b::Receipt)]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
