use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid)]
#[initial(Pending)]
#[completed(Paid)]
#[persist(Receipt(String))]
#[transition(pay: Pending => Paid, persist(Receipt))]
struct Order<T> {
    thing: T,
}

impl OrderRecord {
    fn receipt(&self) -> Receipt {
        assert!(OrderState::Paid.is_completed());
        Receipt(String::new())
    }
}

fn main() {}
