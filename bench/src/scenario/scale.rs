//! What each operation costs among ten thousand records, and among millions.

use std::time::{Duration, Instant};

use flowstate::Flow as _;
use flowstate_diesel::{Page, Purge, Worker, claim_next, prelude::*, reap, testing};

use super::Extent;
use super::latency::micros;
use crate::database::Database;
use crate::flow::{Account, Chore, ChoreState, Quote};
use crate::report::{Figure, Report, Target};

/// How many records are few.
const FEW: usize = 10_000;
const FLOWS: usize = 20;
/// So often an operation is measured at each size.
const SAMPLES: usize = 30;

/// The times of one operation, in microseconds.
type Times = (&'static str, Vec<f64>);

pub(crate) fn run<D: Database>(database: &D, extent: &Extent, report: &mut Report) {
    let conn = &mut database.connect();
    let account = Account::new().create_once("the account", conn).expect("created");
    let mut account = account.into_record();
    for _ in 0..100 {
        account.transition(Account::PAY, conn).run().expect("paid");
    }
    let id = account.id();
    fill(database, FEW);
    let few = all(database, id);
    fill(database, extent.backlog - FEW);
    let many = all(database, id);
    for ((name, few), (_, many)) in few.into_iter().zip(many) {
        let pairs: Vec<_> = few.into_iter().zip(many).map(|(few, many)| [few, many]).collect();
        let scenario = format!("{name}, {FEW} → {} records", extent.backlog);
        let figure = Figure::new(scenario, database.name(), "µs", &pairs);
        report.add(figure.target(Target::AtMost(1.5)));
    }
}

fn all<D: Database>(database: &D, account: i64) -> Vec<Times> {
    let conn = &mut database.connect();
    // few are too few to be claimed from
    let chores = std::iter::repeat_with(Chore::new).take(SAMPLES * 20);
    Chore::create_many(chores, conn).expect("created");
    let mut measured = vec![
        (
            "claim and finish",
            times(
                conn,
                |_| (),
                |conn, ()| {
                    let claim = claim_next(Chore::WORK, conn).expect("asked").expect("one is due");
                    claim.finish((), conn).expect("finished");
                },
            ),
        ),
        (
            "list of a state",
            times(
                conn,
                |_| (),
                |conn, ()| {
                    let listed =
                        Chore::list([ChoreState::Done], Page::first(50), conn).expect("listed");
                    assert_eq!(listed.len(), 50);
                },
            ),
        ),
        (
            "look-up by key",
            times(
                conn,
                |_| (),
                |conn, ()| {
                    Account::find_by_key("the account", conn).expect("asked").expect("there");
                },
            ),
        ),
        (
            "history of a record",
            times(
                conn,
                |_| (),
                |conn, ()| {
                    let record = Account::find(account, conn).expect("found");
                    assert_eq!(record.history(conn).expect("read").len(), 101);
                },
            ),
        ),
        (
            "reaping of 10 claims",
            times(
                conn,
                |conn| {
                    for _ in 0..10 {
                        drop(claim_next(Chore::WORK, conn).expect("asked").expect("one is due"));
                    }
                    testing::expire_leases(conn).expect("expired");
                },
                |conn, ()| assert_eq!(reap(Chore::WORK, conn).expect("reaped"), 10),
            ),
        ),
        (
            "purge of 100 records",
            times(
                conn,
                |conn| {
                    let quotes = Quote::create_many((0..100).map(|_| Quote {}), conn);
                    for mut quote in quotes.expect("created") {
                        quote.transition(Quote::EXPIRE, conn).run().expect("expired");
                    }
                },
                |conn, ()| {
                    let purge = Purge::older_than(Duration::ZERO).of::<Quote>();
                    assert_eq!(purge.run(conn).expect("purged"), 100);
                },
            ),
        ),
    ];
    let pool = database.pool(2);
    let timed = times(
        conn,
        |conn| {
            Quote::create_many((0..10).map(|_| Quote {}), conn).expect("created");
            testing::pass_deadlines(conn).expect("passed");
        },
        |_, ()| {
            let worker = Worker::new(pool.clone()).timed::<Quote>();
            assert_eq!(worker.run_until_idle().expect("idle").timed, 10);
        },
    );
    Purge::older_than(Duration::ZERO).of::<Quote>().run(conn).expect("purged");
    measured.push(("a worker with 10 timed transitions", timed));
    measured
}

/// Measures `work`, after what it needs has been prepared.
fn times<C, T>(conn: &mut C, prepare: impl Fn(&mut C) -> T, work: impl Fn(&mut C, T)) -> Vec<f64> {
    let mut times = (0..=SAMPLES).map(|_| {
        let prepared = prepare(conn);
        let start = Instant::now();
        work(conn, prepared);
        micros(start.elapsed())
    });
    // the first one prepares statements
    times.next();
    times.collect()
}

/// So many records of twenty flows: a tenth of them waits, the others are finished. Without going
/// through flowstate.
fn fill<D: Database>(database: &D, count: usize) {
    let columns = "flow, state, seq, props, attempts, due_at, completed_at, created_at, updated_at";
    let now = "'2026-01-01 00:00:00.000000'";
    for flow in 0..FLOWS {
        let flow = if flow == 0 { Chore::NAME.to_owned() } else { format!("flow_{flow:02}") };
        let waiting = ("waiting", 1, format!("{now}, NULL"));
        let done = ("done", 9, format!("NULL, {now}"));
        for (state, tenths, times) in [waiting, done] {
            let row = format!(
                "'{flow}', '{state}', 1, '{{\"name\":\"chore\"}}', 0, {times}, {now}, {now}"
            );
            database.run(&format!("INSERT INTO flowstate_flows ({columns}) VALUES ({row})"));
            let (rows, mut made) = (count * tenths / 10 / FLOWS, 1);
            while made < rows {
                let some = (rows - made).min(made);
                database.run(&format!(
                    "INSERT INTO flowstate_flows ({columns}) SELECT {row} FROM flowstate_flows \
                     WHERE flow = '{flow}' AND state = '{state}' LIMIT {some}"
                ));
                made += some;
            }
        }
    }
    database.run(
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, to_state, attempt, token, created_at) \
         SELECT id, seq, 'finish_work', state, 1, 'none', created_at FROM flowstate_flows \
         WHERE id > (SELECT MAX(flow_id) FROM flowstate_transitions)",
    );
    database.settle();
}
