use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Closed, Cancelled)]
#[initial(Open)]
#[completed(Closed, Cancelled)]
#[flow(secret(password))]
#[transition(close: Open => Closed)]
#[transition(cancel: * => Cancelled)]
struct Account {
    iban: String,
}

fn main() {}
