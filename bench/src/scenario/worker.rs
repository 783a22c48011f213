//! Worker steps with empty handlers, against one claim statement a batch and one finish a record.

use std::sync::Barrier;
use std::time::Instant;

use flowstate::Flow as _;
use flowstate_diesel::{Worker, prelude::*};

use super::Extent;
use crate::database::Database;
use crate::floor::{self, Claim};
use crate::flow::Chore;
use crate::report::{Figure, Report, Target};

/// How many are claimed at once, on both sides.
const BATCH: usize = 32;

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    for &threads in &extent.threads {
        // so many that a round takes about as long as it should
        let wanted = by_hand(database, threads, 200) * extent.pace.length.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small count"
        )]
        let records = (wanted as usize).clamp(200, 20_000);
        let speeds: Vec<_> = (0..extent.pace.rounds)
            .map(|_| [by_hand(database, threads, records), by_worker(database, threads, records)])
            .collect();
        let figure = Figure::new("worker steps", database.name(), "steps/s", &speeds);
        let figure = figure.threads(threads).target(Target::AtLeast(0.85));
        report.add(figure.note(format!("{records} records, batches of {BATCH}")));
    }
}

fn by_worker<D: Database>(database: &D, threads: usize, records: usize) -> f64 {
    create(database, records);
    let pool = database.pool(threads + 2);
    let start = Instant::now();
    let stats = worker(pool, threads).run_until_idle().expect("idle");
    let speed = rate(records, start);
    assert_eq!(stats.finished, u64::try_from(records).expect("a count"));
    speed
}

/// A worker whose handlers do nothing.
pub(crate) fn worker<M>(pool: diesel::r2d2::Pool<M>, threads: usize) -> Worker<M>
where
    M: diesel::r2d2::ManageConnection<Connection: flowstate_diesel::Store>,
{
    let step = Chore::WORK.batch(BATCH);
    Worker::new(pool).step(step, |_, ()| Ok(())).threads(threads)
}

fn by_hand<D: Database>(database: &D, threads: usize, records: usize) -> f64 {
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
                limit: i64::try_from(BATCH).expect("a count"),
            };
            loop {
                let claimed = floor.claim(&claim);
                if claimed.is_empty() {
                    return begun;
                }
                for (id, seq) in claimed {
                    let (transition, from, to) = ("finish", "working", "done");
                    let (completes, artefact, load) = (true, None, None);
                    floor.step(&floor::Step {
                        id,
                        seq,
                        transition,
                        from,
                        to,
                        completes,
                        artefact,
                        load,
                    });
                }
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(serve)).collect();
        threads.into_iter().map(|thread| thread.join().expect("served")).min().expect("a thread")
    });
    rate(records, start + begun)
}

fn rate(records: usize, since: Instant) -> f64 {
    let records = u32::try_from(records).expect("a count");
    f64::from(records) / since.elapsed().as_secs_f64()
}

fn create<D: Database>(database: &D, records: usize) {
    let chores = std::iter::repeat_with(Chore::new).take(records);
    Chore::create_many(chores, &mut database.connect()).expect("created");
}
