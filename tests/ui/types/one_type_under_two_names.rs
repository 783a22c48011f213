use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Paid, Shipped)]
#[initial(Pending)]
#[completed(Shipped)]
#[persist(Page, Number)]
#[transition(pay: Pending => Paid, persist(Page, Number))]
#[transition(ship: Paid => Shipped)]
struct Order {}

#[derive(Serialize, Deserialize)]
struct Page(u64);

type Number = Page;

fn main() {}
