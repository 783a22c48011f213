use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "ui/lock/stepped.flow")]
#[state(Pending, Charging, Authorized, Charged, Shipped, Refused(error))]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[persist(Hold(String))]
#[step(charge: Pending | Refused => Charging => Authorized(persist(Hold)), fail(Refused))]
#[transition(capture: Authorized => Charged, persist(Receipt))]
#[transition(ship: Charged => Shipped, load(Receipt, Hold))]
struct Order {}

fn main() {}
