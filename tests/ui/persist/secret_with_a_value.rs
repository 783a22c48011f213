use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Closed, Cancelled)]
#[initial(Open)]
#[completed(Closed, Cancelled)]
#[persist(Card(String), secret = "yes")]
#[transition(close: Open => Closed, persist(Card))]
#[transition(cancel: * => Cancelled)]
struct Account {
    iban: String,
}

fn main() {}
