use flowstate::Flow;
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Expired, Dropped, Failed(error))]
#[initial(Queued)]
#[completed(Fetched, Expired, Dropped)]
#[step(fetch: Queued | Failed => Fetching => Fetched, fail(Failed), give_up(Dropped), within)]
#[transition(expire: * => Expired, after("3 days"))]
struct Fetch {}

fn main() {}
