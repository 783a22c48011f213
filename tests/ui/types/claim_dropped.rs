#![deny(unused_must_use)]

use flowstate::Flow;
use flowstate_diesel::{Result, claim_next, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[step(fetch: Queued | Failed => Fetching => Fetched, fail(Failed))]
struct Fetch {}

fn work(conn: &mut SqliteConnection) -> Result<()> {
    let step = Fetch::FETCH;
    let claims = claim_next(step, conn)?.into_iter();
    claims.last().unwrap();
    Ok(())
}

fn main() {}
