use flowstate::Flow;
use flowstate_diesel::prelude::*;
use flowstate_diesel::Result;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Packing, Packed, Shipped, Lost(eror))]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String), Label { number: u64 })]
#[transition(pay: Pending => Paid, persist(Receipt))]
#[transition(pack: Paid | Lost => Packing)]
#[transition(seal: Packing => Packed, persist(Label))]
#[transition(lose: Packing => Lost)]
#[transition(ship: Packed => Shipped, load(Receipt))]
struct Order {}

impl OrderRecord {
    fn pay(&mut self, conn: &mut SqliteConnection) -> Result<()> {
        let receipt = Receipt(String::new());
        self.transition(Order::PAY, conn).persist(receipt).then(Order::PACK).run()
    }

    fn ship(&mut self, conn: &mut SqliteConnection) -> Result<Receipt> {
        assert!(self.state() != OrderState::Paid);
        self.transition(Order::SHIP, conn).run()
    }
}

fn seal(number: u64) -> Label {
    Label { number }
}

fn main() {
    let _ = (Order::PACK, Order::SEAL, Order::LOSE);
}
