use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Parsed, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Parsed(persist(Page), then(skip)), fail(Failed))]
#[transition(parse: Parsed => Fetched)]
#[transition(skip: Queued => Fetched)]
struct Fetch {}

fn main() {}
