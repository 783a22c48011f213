use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(version = 3, upgrade(OrderV1, OrderV2))]
#[state(Pending, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[transition(ship: Pending => Shipped)]
struct Order {}

#[derive(Deserialize)]
struct OrderV1 {}

#[derive(Deserialize)]
struct OrderV2 {}

impl From<OrderV2> for Order {
    fn from(OrderV2 {}: OrderV2) -> Self {
        Self {}
    }
}

fn main() {}
