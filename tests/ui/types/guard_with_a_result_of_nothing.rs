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

fn check(_: &Order) -> Result<()> {
    Ok(())
}

fn ship(order: &mut OrderRecord, conn: &mut SqliteConnection) -> Result<()> {
    order.transition(Order::SHIP, conn).guard("it is there", |order, _| check(order)).run()
}

fn main() {}
