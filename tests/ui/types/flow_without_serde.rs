use flowstate::Flow;
use flowstate_diesel::{Result, prelude::*};

#[derive(Flow)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn ship(order: &mut OrderRecord, conn: &mut SqliteConnection) -> Result<()> {
    order.transition(Order::SHIP, conn).run()
}

fn main() {}
