//! Workers far from their server: how long bytes travel decides how long things take, and not what is
//! seen.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use flowstate::Flow;
use flowstate_diesel::{Backoff, Step as _, Worker};
use serde::{Deserialize, Serialize};

use crate::database::server::Served;
use crate::distance::Distance;
use crate::gate::Gate;
use crate::statement_probe::Probe;

/// A flow of these tests alone: no commit of another test in this process wakes their workers.
#[derive(Flow, Serialize, Deserialize, Debug)]
#[state(Written, Carrying, Read, Lost(error))]
#[initial(Written)]
#[completed(Read)]
#[step(carry: Written | Lost => Carrying => Read, fail(Lost))]
struct Letter;

macro_rules! carry_step {
    () => {
        Letter::CARRY.retry(Backoff::fixed(Duration::from_mins(1)).attempts(3))
    };
}

/// Makes a record due as another program does it: nothing in this process wakes a worker for it.
fn write<D: Served>(conn: &mut D::Conn) {
    let now = if D::FOLDER == "mysql" { "UTC_TIMESTAMP(6)" } else { "clock_timestamp()" };
    let sql = format!(
        "INSERT INTO flowstate_flows (flow, state, seq, props, attempts, due_at, created_at, updated_at) \
         VALUES ('letter', 'written', 0, 'null', 0, {now}, {now}, {now})"
    );
    conn.batch_execute(&sql).expect("due");
}

fn unread<D: Served>(conn: &mut D::Conn) -> i64 {
    D::number(conn, "SELECT COUNT(*) FROM flowstate_flows WHERE state <> 'read'")
}

/// `run_until_idle` leaves nothing that was due, however long it takes to ask.
pub fn nothing_due_is_left_however_far<D: Served>() {
    thread::scope(|scope| {
        for (each_way, rounds) in [(0, 8), (5, 8), (20, 4), (100, 2), (300, 1)] {
            scope.spawn(move || leaves_nothing::<D>(Duration::from_millis(each_way), rounds));
        }
    });
}

fn leaves_nothing<D: Served>(each_way: Duration, rounds: usize) {
    let database = D::migrated();
    let conn = &mut database.connect();
    let distance = Distance::start(&D::address(), each_way);
    let through = database.url_through(distance.port());
    for _ in 0..rounds {
        for _ in 0..3 {
            write::<D>(conn);
        }
        // beside the connection that finds, claims and ends there is one that keeps leases
        let pool = D::probed_pool(&through, 2, Probe::new(|_| {}));
        let worker = Worker::new(pool).step(carry_step!(), |_, ()| Ok(()));
        let stats = worker.run_until_idle().expect("ran");
        assert_eq!((stats.claimed, stats.finished), (3, 3), "{each_way:?}: {stats:?}");
        assert_eq!(unread::<D>(conn), 0, "{each_way:?}");
    }
}

/// So many records become due one after the other. (In the first, each statement is prepared.)
const LETTERS: usize = 6;

/// A record that another program makes due just after a poll of a worker that has nothing to do is found
/// by the next one, claimed at once on the same connection, and begun, in so many round trips, however
/// long each takes: the pool's test of the connection, the poll, and the claim, which is one statement on
/// PostgreSQL, and on MariaDB and MySQL a transaction of three statements.
pub fn what_is_due_is_begun_in_few_round_trips<D: Served>() {
    thread::scope(|scope| {
        for each_way in [0, 20, 100] {
            scope.spawn(move || is_begun_soon::<D>(Duration::from_millis(each_way)));
        }
    });
}

fn is_begun_soon<D: Served>(each_way: Duration) {
    let most = if D::FOLDER == "mysql" { 7 } else { 3 };
    let database = D::migrated();
    let distance = Arc::new(Distance::start(&D::address(), each_way));
    let through = database.url_through(distance.port());
    // how many round trips had been made when the record became due that has not been begun
    let due = Arc::<Mutex<Option<usize>>>::default();
    let probe = {
        let (due, distance) = (Arc::clone(&due), Arc::clone(&distance));
        let conn = Mutex::new((0, database.connect()));
        Probe::new(move |seen| {
            let mut due = due.lock().expect("no panic");
            if due.is_some() || !seen.ends(&["UNION ALL"]) {
                return;
            }
            let (polls, conn) = &mut *conn.lock().expect("no panic");
            *polls += 1;
            // the first time each statement is prepared; and what ends the last one is not counted
            if *polls > 1 && unread::<D>(conn) == 0 {
                write::<D>(conn);
                *due = Some(distance.round_trips());
            }
        })
    };
    let (begun, took) = (Gate::new(), Arc::<Mutex<Vec<usize>>>::default());
    let running = Worker::new(D::probed_pool(&through, 2, probe))
        .step(carry_step!(), {
            let (begun, took) = (Arc::clone(&begun), Arc::clone(&took));
            move |_, ()| {
                let at = due.lock().expect("no panic").take().expect("due");
                took.lock().expect("no panic").push(distance.round_trips() - at);
                begun.note();
                Ok(())
            }
        })
        .threads(1)
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    begun.wait_for(LETTERS);
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    let took = took.lock().expect("no panic");
    // whoever keeps leases, or tells that the worker lives, asks something between: the least is what
    // the way to the handler takes by itself
    assert!(took.iter().min().is_some_and(|least| *least <= most), "{each_way:?}: {took:?}");
}
