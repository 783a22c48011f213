use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped, Packing, Torn(error))]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(pay: Pending => Paid)]
#[transition(ship: Paid => Shipped)]
#[transition(pack: Paid => Packing)]
#[transition(tear: Packing => Torn)]
struct Order {}

fn main() {}
