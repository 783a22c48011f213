use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Closed, Cancelled)]
#[initial(Open)]
#[completed(Closed, Cancelled)]
#[transition(close: Open => Closed)]
#[transition(cancel: * => Cancelled, operator = "anna")]
struct Account {
    iban: String,
}

fn main() {}
