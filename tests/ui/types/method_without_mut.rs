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

impl OrderRecord {
    fn ship(&self, conn: &mut SqliteConnection) -> Result<()> {
        self.transition(Order::SHIP, conn).run()
    }
}

fn main() {}
