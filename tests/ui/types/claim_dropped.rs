#![deny(unused_must_use)]

use flowstate::Flow;
use flowstate_diesel::{Result, Step, claim_next, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Queued, Fetching, Fetched, Failed(error))]
#[initial(Queued)]
#[completed(Fetched)]
#[transition(start: Queued | Failed => Fetching)]
#[transition(finish: Fetching => Fetched)]
#[transition(fail: Fetching => Failed)]
struct Fetch {}

fn work(conn: &mut SqliteConnection) -> Result<()> {
    let step = Step::start(Fetch::START).finish(Fetch::FINISH).fail(Fetch::FAIL);
    let claims = claim_next(&step, conn)?.into_iter();
    claims.last().unwrap();
    Ok(())
}

fn main() {}
