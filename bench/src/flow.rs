//! The flows of the benchmarks.

use flowstate::Flow;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The story of the documentation: fetch a response, keep it, save it.
#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Picked, Fetching, Fetched, Saving, Saved, Completed)]
#[state(FailedToFetch(error), FailedToSave(error))]
#[initial(Pending)]
#[completed(Completed)]
#[persist(Response(serde_json::Value))]
#[transition(pick: Pending => Picked)]
#[step(fetch: Picked | FailedToFetch => Fetching => Fetched(persist(Response)), fail(FailedToFetch))]
#[step(save: Fetched | FailedToSave => Saving => Saved(then(complete)), load(Response), fail(FailedToSave))]
#[transition(complete: Saved => Completed)]
pub(crate) struct Sync {
    pub(crate) record_id: String,
    pub(crate) party_id: String,
}

impl Sync {
    pub(crate) fn new() -> Self {
        Self { record_id: "record-0123456789".to_owned(), party_id: "party-9876543210".to_owned() }
    }
}

/// The least that a worker can do.
#[derive(Flow, Serialize, Deserialize)]
#[state(Waiting, Working, Done, Failed(error))]
#[initial(Waiting)]
#[completed(Done)]
#[step(work: Waiting | Failed => Working => Done, fail(Failed))]
pub(crate) struct Chore {
    pub(crate) name: String,
}

impl Chore {
    pub(crate) fn new() -> Self {
        Self { name: "chore".to_owned() }
    }
}

/// An offer that ends by itself.
#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Over)]
#[initial(Open)]
#[completed(Over)]
#[transition(expire: Open => Over, after("1 hour"))]
pub(crate) struct Quote {}

/// One that never ends.
#[derive(Flow, Serialize, Deserialize)]
#[state(Waiting, Turning, Stuck(error), Broken)]
#[initial(Waiting)]
#[completed(Broken)]
#[step(turn: Waiting | Stuck => Turning => Waiting, fail(Stuck))]
#[transition(give_up: Waiting => Broken)]
pub(crate) struct Wheel {}

/// An artefact of about 1 kB.
pub(crate) fn response() -> Response {
    let line = json!({"id": 123_456, "name": "something of a usual length", "price": "12.50"});
    Response(json!({"status": 200, "lines": vec![line; 15]}))
}

/// A record that can be moved as often as one likes.
#[derive(Flow, Serialize, Deserialize)]
#[state(Open, Closed)]
#[initial(Open)]
#[completed(Closed)]
#[persist(Receipt(String))]
#[transition(pay: Open => Open)]
#[transition(file: Open => Open, persist(Receipt))]
#[transition(close: Open => Closed)]
pub(crate) struct Account {
    pub(crate) owner: String,
}

impl Account {
    pub(crate) fn new() -> Self {
        Self { owner: "owner".to_owned() }
    }
}
