use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paying, Paid, Shipped, Refused(error))]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(start: Pending => Paying)]
#[transition(pay: Paying => Paid, persist(Receipt))]
#[transition(refuse: Paying => Refused)]
#[transition(ship: Paid | Refused => Shipped, load(Receipt))]
struct Order {}

fn main() {}
