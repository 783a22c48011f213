use flowstate::Flow;
use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::{Step, Worker, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[transition(start: Queued | Failed => Fetching)]
#[transition(finish: Fetching => Fetched, persist(Page))]
#[transition(fail: Fetching => Failed)]
struct Fetch {}

fn worker(pool: Pool<ConnectionManager<SqliteConnection>>) {
    let step = Step::start(Fetch::START).fail(Fetch::FAIL);
    let _ = Worker::new(pool).step(step, |_, ()| Ok(()));
}

fn main() {}
