//! A claim before and after live records were moved again and again: what dead rows and index
//! entries cost.

use std::time::{Duration, Instant};

use flowstate_diesel::{Stats, Worker, claim_next, prelude::*};

use super::Extent;
use super::latency::micros;
use crate::database::Database;
use crate::flow::Wheel;
use crate::report::{Figure, Report, Target};

/// So many transitions for each live record.
const TRANSITIONS: usize = 100;
/// So often a claim is measured.
const SAMPLES: usize = 200;

/// As many transitions as the backlog says.
pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let conn = &mut database.connect();
    let records = extent.backlog / TRANSITIONS;
    for _ in 0..records.div_ceil(10_000) {
        let wheels = std::iter::repeat_with(|| Wheel {}).take(records.min(10_000));
        Wheel::create_many(wheels, conn).expect("created");
    }
    database.settle();
    let before = claims(conn);
    let turned = turn(database, extent.backlog / 2);
    let after = claims(conn);
    let pairs: Vec<_> = before.into_iter().zip(after).map(|(one, other)| [one, other]).collect();
    let figure = Figure::new("claim and finish, after churn", database.name(), "µs", &pairs);
    let note = format!("{} transitions of {records} records", turned * 2);
    report.add(figure.target(Target::AtMost(1.5)).note(note));
}

fn claims<C: flowstate_diesel::Store>(conn: &mut C) -> Vec<f64> {
    let mut claim = || {
        let start = Instant::now();
        let claim = claim_next(Wheel::TURN, conn).expect("asked").expect("one is due");
        claim.finish((), conn).expect("finished");
        micros(start.elapsed())
    };
    claim();
    (0..SAMPLES).map(|_| claim()).collect()
}

/// Has a worker do so many steps at least, each a claim and a finish.
fn turn<D: Database>(database: &D, steps: usize) -> u64 {
    let worker = Worker::new(database.pool(4)).step(Wheel::TURN.batch(500), |_, ()| Ok(()));
    let running = worker.threads(2).start().expect("started");
    let steps = u64::try_from(steps).expect("a count");
    while running.stats().finished < steps {
        std::thread::sleep(Duration::from_millis(100));
    }
    let Stats { finished, .. } = running.shutdown(Duration::from_mins(1)).expect("stopped");
    finished
}
