use flowstate::Flow;
use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::{Worker, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[persist(Page(String))]
#[step(fetch: Queued | Failed => Fetching => Fetched(persist(Page)), fail(Failed))]
struct Fetch {}

fn worker(pool: Pool<ConnectionManager<SqliteConnection>>) {
    let step = Fetch::FETCH;
    let _ = Worker::new(pool).step(step, |_, Page(text)| Ok(Page(text)));
}

fn main() {}
