use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Closed, Cancelled)]
#[initial(Open)]
#[completed(Closed, Cancelled)]
#[persist(Note(String))]
#[transition(close: Open => Closed, persist(Note), operator)]
#[transition(cancel: * => Cancelled)]
struct Account {
    iban: String,
}

fn main() {}
