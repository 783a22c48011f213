use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
struct Fetch {}

#[derive(Clone, Copy)]
struct Mine;

impl flowstate::Transition for Mine {
    type Flow = Fetch;
    type To = ();
    type Persists = ();
    type Loads = ();
    const NAME: &'static str = "mine";
    const FROM: &'static [FetchState] = &[];
    const TO: FetchState = FetchState::Fetched;
}

fn main() {}
