use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[flow(lock = "ui/lock/shipping.flow")]
#[state(Pending, Paid, Packed, Shipping, Shipped, NotShipped(error))]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[persist(Parcel(u32))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(pack: Paid => Packed, persist(Parcel))]
#[step(ship: Packed | NotShipped => Shipping => Shipped, load(Parcel), fail(NotShipped))]
struct Order {}

fn main() {}
