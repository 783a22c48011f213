//! A29: a shutdown when the database, or somebody's lock, is in the way.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Error, Worker, transaction};

use crate::check::clean;
use crate::gate::Gate;
use crate::statement_probe::Probe;
use crate::steps::{leased, picked, picked_together, wait_until_leased, waiting_at};
use crate::switchable_connection::Switch;
use crate::tracing_capture::listening;
use crate::{Database, fetch_step, steps};

/// Its last tenth has to do for giving back, on a machine with much to do, too.
const GRACE: Duration = Duration::from_secs(5);
/// The grace, and what such a machine may take to wake a thread.
const BOUND: Duration = Duration::from_secs(15);

/// The database is down: the shutdown returns within its grace and says so. When the database is
/// back, what was held is given back all the same, as long as the process lives.
pub fn a29_a_database_that_is_down<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked_together::<D>(conn, 4);
    let gate = Gate::new();
    let (switch, pool) = Switch::pool::<D>(&database.url(), 1, Probe::new(|_| {}));
    let running =
        Worker::new(pool).step(fetch_step!().batch(4), waiting_at(&gate)).start().expect("started");
    gate.wait_for(1);
    switch.off();
    let begun = Instant::now();
    let error = running.shutdown(GRACE).expect_err("nothing could be given back");
    assert!(matches!(error, Error::NoConnection { .. }), "{error}");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert_eq!(leased::<D>(conn), 4);
    switch.on();
    wait_until_leased::<D>(conn, 0);
    gate.open();
    clean(conn);
}

/// Somebody has locked one of the records: the others are given back, the shutdown returns within
/// its grace and says so; the one is given back when it can be.
pub fn a29_a_record_that_others_have_locked<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids = picked_together::<D>(conn, 4);
    let gate = Gate::new();
    let running = Worker::new(database.pool(2))
        .step(fetch_step!().batch(4), waiting_at(&gate))
        .start()
        .expect("started");
    gate.wait_for(1);
    let (locked, stopped) = (Gate::new(), Gate::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            transaction(&mut database.connect(), |conn| {
                let sql = format!("UPDATE flowstate_flows SET flow = flow WHERE id = {}", ids[1]);
                conn.batch_execute(&sql)?;
                locked.note();
                stopped.pass();
                Ok::<_, Error>(())
            })
            .expect("locked");
        });
        locked.wait_for(1);
        let begun = Instant::now();
        let outcome = running.shutdown(GRACE);
        let took = begun.elapsed();
        let left = leased::<D>(conn);
        stopped.open();
        let error = outcome.expect_err("one could not be given back");
        assert!(error.is_conflict(), "{error}");
        assert!(took < BOUND, "{took:?}");
        assert_eq!(left, 1);
    });
    wait_until_leased::<D>(conn, 0);
    gate.open();
    clean(conn);
}

/// Of two threads one runs a long handler, and the other one is claiming when the worker begins to
/// stop: what it gets is given back at once, not when the handler is done.
pub fn a29_a_claim_under_way_beside_a_long_handler<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked::<D>(conn, "long");
    let (gate, claiming) = (Gate::new(), Gate::new());
    let probe = steps::claiming(&database, 2, &claiming);
    let running = Worker::new(D::probed_pool(&database.url(), 2, probe))
        .step(fetch_step!(), waiting_at(&gate))
        .threads(2)
        .start()
        .expect("started");
    gate.wait_for(1);
    picked::<D>(conn, "late");
    claiming.wait_for(1);
    let stats = thread::scope(|scope| {
        let opened = Arc::clone(&claiming);
        let hear = move |message: &str| {
            if message == "the worker is stopping" {
                opened.open();
            }
        };
        let stopping =
            scope.spawn(move || listening(hear, || running.shutdown(Duration::from_mins(2))));
        let late = "SELECT COUNT(*) FROM flowstate_flows WHERE leased_until IS NULL AND seq > 1";
        let begun = Instant::now();
        while D::number(conn, late) == 0 && begun.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(10));
        }
        let given_back = D::number(conn, late);
        gate.open();
        let stats = stopping.join().expect("no panic").expect("stopped");
        assert_eq!(given_back, 1, "while the handler still ran");
        stats
    });
    assert_eq!((stats.finished, stats.released, stats.running), (1, 1, 0));
    assert_eq!(leased::<D>(conn), 0);
    clean(conn);
}
