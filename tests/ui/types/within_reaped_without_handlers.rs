use flowstate::Flow;
use flowstate_diesel::{prelude::*, reap};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Expired, Failed(error))]
#[initial(Queued)]
#[completed(Fetched, Expired)]
#[step(fetch: Queued | Failed => Fetching => Fetched, fail(Failed), within)]
#[transition(expire: Queued | Failed => Expired, after("3 days"), within)]
struct Fetch {}

fn dead(conn: &mut SqliteConnection) {
    let _ = reap(Fetch::FETCH, conn);
}

fn main() {}
