use flowstate::Flow;
use serde::{Deserialize, Serialize};

use flowstate::Transition;

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Reciept))]
#[transition(ship: Paid => Shipped, load(Receipt))]
struct Order {}

fn run<T: Transition>(_: T, _: T::Persists) -> Option<T::Loads> {
    None
}

impl OrderRecord {
    fn pay(&self) {
        let _: Option<()> = run(Order::PAY, Receipt(String::new()));
    }

    fn ship(&self) {
        let _: Option<Receipt> = run(Order::SHIP, ());
        assert!(self.state() != OrderState::Shipped);
    }
}

fn main() {}
