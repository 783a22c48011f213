use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "ui/lock/retried.flow")]
#[state(Pending, Paid, Refused(error), Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(refuse: Pending => Refused)]
#[transition(retry: Refused => Refused)]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn main() {}
