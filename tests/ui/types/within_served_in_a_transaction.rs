use flowstate::Flow;
use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::{Worker, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Expired, Failed(error))]
#[initial(Queued)]
#[completed(Fetched, Expired)]
#[step(fetch: Queued | Failed => Fetching => Fetched, fail(Failed), within)]
#[transition(expire: Queued | Failed => Expired, after("3 days"), within)]
struct Fetch {}

fn worker(pool: Pool<ConnectionManager<SqliteConnection>>) {
    let _ = Worker::new(pool).transactional_step(Fetch::FETCH, |_, (), _| Ok(()));
}

fn main() {}
