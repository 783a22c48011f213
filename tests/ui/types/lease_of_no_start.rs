use std::time::Duration;

use flowstate::Flow;
use flowstate_diesel::{Result, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Flow, Serialize, Deserialize)]
#[state(Pending, Printing, Printed, Jammed(error))]
#[initial(Pending)]
#[completed(Printed)]
#[step(print: Pending | Jammed => Printing => Printed, fail(Jammed))]
struct Poster {}

fn jam(poster: &mut PosterRecord, conn: &mut SqliteConnection) -> Result<()> {
    poster.transition(Poster::FAIL_PRINT, conn).lease(Duration::from_secs(60)).run()
}

fn main() {}
