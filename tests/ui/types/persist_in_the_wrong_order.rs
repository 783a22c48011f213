use flowstate::Flow;
use flowstate_diesel::{Result, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String), Label(u8))]
#[transition(pay: Pending => Paid, persist(Receipt, Label))]
#[transition(ship: Paid => Shipped)]
struct Order {}

fn pay(
    order: &mut OrderRecord,
    artefacts: (Label, Receipt),
    conn: &mut SqliteConnection,
) -> Result<()> {
    order.transition(Order::PAY, conn).persist(artefacts).run()
}

fn main() {}
