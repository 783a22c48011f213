use flowstate::Flow;
use flowstate_diesel::{Result, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped)]
struct Order {}

#[derive(Flow, Serialize, Deserialize)]
#[state(Paid, Sent)]
#[initial(Paid)]
#[completed(Sent)]
#[persist(Stamp(String))]
#[transition(send: Paid => Sent, persist(Stamp))]
#[transition(lose: Paid => Sent)]
struct Parcel {}

fn pay(order: &mut OrderRecord, receipt: Receipt, conn: &mut SqliteConnection) -> Result<()> {
    order.transition(Order::PAY, conn).persist(receipt).then(Parcel::LOSE).run()
}

fn main() {}
