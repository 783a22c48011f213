//! A database that answers late, or refuses for a while what it would take otherwise: that costs its
//! time, and no try, no claim and no result.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::{Worker, prelude::*, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Response, Sync, SyncState};
use crate::gate::Gate;
use crate::set_up_connection::SetUpConnections;
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::{Database, fetch_step};

const FETCHED: &str = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";

/// A worker whose poll took as long as leases are extended after takes nobody for dead: whoever holds
/// them may have been waiting for the same database.
pub fn who_was_kept_waiting_reaps_nobody<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let handler = Gate::new();
    let holding = Worker::new(database.pool(2))
        .step(fetch_step!().lease(Duration::from_mins(10)), {
            let handler = Arc::clone(&handler);
            move |_, ()| {
                handler.pass();
                Ok(Response(json!(1)))
            }
        })
        .start()
        .expect("started");
    handler.wait_for(1);
    let (stalled, polled) = (Gate::new(), Gate::new());
    let probe = {
        let (stalled, polled) = (Arc::clone(&stalled), Arc::clone(&polled));
        Probe::new(move |seen| {
            if seen.ends(&["UNION ALL"]) {
                polled.note();
            } else if seen.starts(&["UNION ALL"]) && polled.come() > 0 {
                stalled.pass();
            }
        })
    };
    let lease = Duration::from_secs(3);
    let reaping = Worker::new(D::probed_pool(&database.url(), 1, probe))
        .step(fetch_step!().lease(lease), |_, ()| Ok(Response(json!("of another"))))
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    stalled.wait_for(1);
    testing::expire_leases(conn).expect("expired");
    thread::sleep(lease / 2);
    stalled.open();
    polled.wait_for(polled.come() + 5);
    let flow = Sync::find(id, conn).expect("found");
    assert_eq!((flow.state(), flow.seq()), (SyncState::Fetching, 2), "it is left to its holder");
    handler.open();
    Gate::new().wait_for_one(|| D::number(conn, FETCHED) == 1);
    let stats = holding.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.lost), (1, 0, 0));
    let stats = reaping.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.claimed, stats.reaped), (0, 0));
    clean(conn);
}

/// A server that answers nobody for longer than the leases, and fails nothing: each handler runs once,
/// whichever worker is the first to be answered, and what it has come to counts.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn a_stalled_server_costs_no_claim<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let (short, long, ran) = (Gate::new(), Gate::new(), Gate::new());
    let start = |threads| {
        let (short, long, ran) = (Arc::clone(&short), Arc::clone(&long), Arc::clone(&ran));
        let step = fetch_step!().lease(Duration::from_secs(2));
        let worker = Worker::new(database.pool(2)).step(step, move |claim, ()| {
            ran.note();
            if claim.record_id == "short" {
                short.pass();
            } else {
                long.pass();
            }
            Ok(Response(json!(1)))
        });
        worker.threads(threads).poll(Duration::from_millis(50)).start().expect("started")
    };
    for name in ["short", "short", "long", "long"] {
        picked::<D>(conn, name);
    }
    let first = start(4);
    ran.wait_for(4);
    let second = start(2);
    let other = &mut database.connect();
    let (stall, go_on) = match D::FOLDER {
        "mysql" => ("LOCK TABLES flowstate_flows WRITE", "UNLOCK TABLES"),
        _ => ("BEGIN; LOCK TABLE flowstate_flows IN ACCESS EXCLUSIVE MODE", "COMMIT"),
    };
    other.batch_execute(stall).expect("locked");
    // these end meanwhile, and wait with all the others
    short.open();
    thread::sleep(Duration::from_secs(4));
    other.batch_execute(go_on).expect("unlocked");
    Gate::new().wait_for_one(|| D::number(conn, FETCHED) == 2);
    // for longer than a lease
    thread::sleep(Duration::from_secs(3));
    long.open();
    Gate::new().wait_for_one(|| D::number(conn, FETCHED) == 4);
    let stats = second.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.claimed, stats.reaped), (0, 0));
    let stats = first.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.lost, ran.come()), (4, 0, 0, 4));
    clean(conn);
}

/// After a failover the connections of a pool lead to a server that only reads: they are not given
/// back to it, though the pool itself would never look, and new ones do the work.
pub fn a_connection_that_only_reads_is_given_up<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for n in 0..3 {
        picked::<D>(conn, &format!("{n}"));
    }
    let made = Arc::<AtomicUsize>::default();
    let pool = {
        let made = Arc::clone(&made);
        SetUpConnections::<D>::pool(&database.url(), 2, move |conn| {
            if made.fetch_add(1, Ordering::SeqCst) < 2 {
                let only_reads = match D::FOLDER {
                    "sqlite" => "PRAGMA query_only = ON",
                    "mysql" => "SET SESSION TRANSACTION READ ONLY",
                    _ => "SET default_transaction_read_only = on",
                };
                conn.batch_execute(only_reads).expect("from now on");
            }
        })
    };
    let running = Worker::new(pool)
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    Gate::new().wait_for_one(|| D::number(conn, FETCHED) == 3);
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.lost), (3, 0, 0));
    assert!(made.load(Ordering::SeqCst) > 2, "the first two did nothing");
    clean(conn);
}

/// A statement that waits for somebody's lock may be ended by a bound for statements rather than one for
/// locks: what a handler has come to is kept all the same.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn a_result_outlasts_a_statement_timeout<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let bound = match D::FOLDER {
        "mysql" if crate::check::is_mariadb::<D>(conn) => "SET SESSION max_statement_time = 0.2",
        "mysql" => "SET SESSION max_execution_time = 200",
        _ => "SET statement_timeout = '200ms'",
    };
    let pool = SetUpConnections::<D>::pool(&database.url(), 2, move |conn| {
        conn.batch_execute(bound).expect("set");
    });
    let (gate, ran) = (Gate::new(), Gate::new());
    let running = Worker::new(pool)
        .step(fetch_step!(), {
            let (gate, ran) = (Arc::clone(&gate), Arc::clone(&ran));
            move |_, ()| {
                ran.note();
                gate.pass();
                Ok(Response(json!(1)))
            }
        })
        .start()
        .expect("started");
    gate.wait_for(1);
    let other = &mut database.connect();
    let sql = format!("BEGIN; UPDATE flowstate_flows SET flow = flow WHERE id = {id}");
    other.batch_execute(&sql).expect("locked");
    gate.open();
    // in which what a database refuses would have been refused for good
    thread::sleep(Duration::from_secs(3));
    other.batch_execute("ROLLBACK").expect("unlocked");
    Gate::new().wait_for_one(|| D::number(conn, FETCHED) == 1);
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.lost, ran.come()), (1, 0, 0, 1));
    clean(conn);
}
