use flowstate::Flow;
use flowstate_diesel::{Result, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped, Lost(error))]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped)]
#[transition(lose: * => Lost)]
struct Order {}

fn ship(order: &mut OrderRecord, conn: &mut SqliteConnection) -> Result<()> {
    order.transition(Order::SHIP, conn).then(Order::LOSE).run()
}

fn main() {}
