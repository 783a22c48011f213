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
    let Some(claim) = claim_next(&step, conn)? else { return Ok(()) };
    claim.finish((), conn)?;
    claim.fail("too late", conn)
}

fn main() {}
