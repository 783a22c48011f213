use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
struct Order {}

fn main() {}
