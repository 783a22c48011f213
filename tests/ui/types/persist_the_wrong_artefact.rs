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

#[derive(Serialize, Deserialize)]
struct Label(u8);

fn pay(order: &mut OrderRecord, conn: &mut SqliteConnection) -> Result<()> {
    order.transition(Order::PAY, conn).persist(Label(1)).run()
}

fn main() {}
