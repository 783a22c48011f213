//! Worker steps with empty handlers, against the same rows by hand and against a job queue.

use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::time::Instant;

use flowstate::Flow as _;
use flowstate_diesel::{Worker, prelude::*};

use super::Extent;
use crate::database::Database;
use crate::floor::{self, Claim, Finish, Floor};
use crate::flow::Chore;
use crate::report::{Figure, Report, Target};

/// How many are claimed at once, on both sides, where each is finished by itself.
const BATCH: usize = 32;
/// How many are claimed and finished at once, where both is done by hand in batches.
const BATCHES: [usize; 2] = [100, 500];
/// How many records are drained there.
const DRAINED: usize = 10_000;

/// How the floor finishes what it has claimed at once.
#[derive(Clone, Copy, Debug)]
enum Ends {
    /// With a transaction for each record.
    OneByOne,
    /// With one for all.
    Together,
}

/// Against one claim a batch and one finish a record.
pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    for &threads in &extent.threads {
        let floor = |records| by_hand(database, threads, records, BATCH, Ends::OneByOne);
        // so many that a round takes about as long as it should
        let wanted = floor(200) * extent.pace.length.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small count"
        )]
        let records = (wanted as usize).clamp(200, 20_000);
        let speeds: Vec<_> = (0..extent.pace.rounds)
            .map(|_| [floor(records), by_worker(database, threads, records, BATCH)])
            .collect();
        let figure = Figure::new("worker steps", database.name(), "steps/s", &speeds);
        let wanted = if database.name().starts_with("SQLite") { 2.0 } else { 2.5 };
        let figure = figure.threads(threads).target(Target::AtLeast(wanted));
        report.add(figure.note(format!("{records} records, batches of {BATCH}")));
    }
}

/// Against one claim and one finish a batch, on one connection.
pub(crate) fn batches<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let by_hand = |batch| by_hand(database, 1, DRAINED, batch, Ends::Together);
    drain(database, extent, report, ("against batches by hand", 0.8), by_hand);
}

/// Against River: a program of its own, `bench/river`.
pub(crate) fn river<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let Some(program) = &extent.river else { return };
    if !database.name().starts_with("Post") {
        return;
    }
    let by_river = |_| by_river(program, &database.url());
    drain(database, extent, report, ("against River", 1.2), by_river);
}

/// Has a worker drain records in batches, and `other` as many beside it, given the batch.
fn drain<D: Database>(
    database: &D,
    extent: &Extent,
    report: &mut Report,
    (scenario, wanted): (&'static str, f64),
    other: impl Fn(usize) -> f64,
) {
    for &threads in &extent.threads {
        for batch in BATCHES {
            let round = |_| [other(batch), by_worker(database, threads, DRAINED, batch)];
            let speeds: Vec<_> = (0..extent.pace.rounds).map(round).collect();
            let figure = Figure::new(scenario, database.name(), "steps/s", &speeds);
            let figure = figure.threads(threads).target(Target::AtLeast(wanted));
            report.add(figure.note(format!("{DRAINED} records, batches of {batch}")));
        }
    }
}

fn by_river(program: &Path, url: &str) -> f64 {
    let output = Command::new(program).args([url, &DRAINED.to_string()]).output();
    let output = output.expect("the program for River");
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().unwrap_or_else(|_| panic!("{output:?}"))
}

fn by_worker<D: Database>(database: &D, threads: usize, records: usize, batch: usize) -> f64 {
    create(database, records);
    let pool = database.pool(threads + 2);
    let start = Instant::now();
    let stats = worker(pool, threads, batch).run_until_idle().expect("idle");
    let speed = rate(records, start);
    assert_eq!(stats.finished, u64::try_from(records).expect("a count"));
    speed
}

/// A worker whose handlers do nothing.
pub(crate) fn worker<M>(pool: diesel::r2d2::Pool<M>, threads: usize, batch: usize) -> Worker<M>
where
    M: diesel::r2d2::ManageConnection<Connection: flowstate_diesel::Store>,
{
    let step = Chore::WORK.batch(batch);
    Worker::new(pool).step(step, |_, ()| Ok(())).threads(threads)
}

fn by_hand<D: Database>(
    database: &D,
    threads: usize,
    records: usize,
    batch: usize,
    ends: Ends,
) -> f64 {
    create(database, records);
    let (start, connected) = (Instant::now(), Barrier::new(threads));
    // a worker's pool connects before it starts, too
    let begun = std::thread::scope(|scope| {
        let serve = || {
            let mut floor = database.floor();
            connected.wait();
            let begun = start.elapsed();
            let claim = Claim {
                flow: Chore::NAME,
                from: "waiting",
                transition: "start",
                to: "working",
                limit: i64::try_from(batch).expect("a count"),
            };
            loop {
                let claimed = floor.claim(&claim);
                if claimed.is_empty() {
                    return begun;
                }
                finish(&mut *floor, &claimed, ends);
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(serve)).collect();
        threads.into_iter().map(|thread| thread.join().expect("served")).min().expect("a thread")
    });
    rate(records, start + begun)
}

fn finish(floor: &mut dyn Floor, claimed: &[(i64, i64)], ends: Ends) {
    let (transition, from, to) = ("finish", "working", "done");
    match ends {
        Ends::Together => floor.finish(&Finish { from, transition, to }, claimed),
        Ends::OneByOne => {
            for &(id, seq) in claimed {
                let (completes, artefact, load) = (true, None, None);
                let step = floor::Step { id, seq, transition, from, to, completes, artefact, load };
                floor.step(&step);
            }
        }
    }
}

fn rate(records: usize, since: Instant) -> f64 {
    let records = u32::try_from(records).expect("a count");
    f64::from(records) / since.elapsed().as_secs_f64()
}

fn create<D: Database>(database: &D, records: usize) {
    let chores = std::iter::repeat_with(Chore::new).take(records);
    Chore::create_many(chores, &mut database.connect()).expect("created");
}
