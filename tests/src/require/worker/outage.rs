//! A database that does not answer costs time, and no claim.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::{Worker, prelude::*, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Response, Sync, SyncState};
use crate::gate::Gate;
use crate::statement_probe::Probe;
use crate::steps::{leased, picked, waiting_at};
use crate::switchable_connection::Switch;
use crate::{Database, fetch_step};

/// Counts the looks of a worker.
fn looks() -> (Probe, Arc<Gate>) {
    let gate = Gate::new();
    let noting = Arc::clone(&gate);
    let probe = Probe::new(move |seen| {
        if seen.ends(&["UNION ALL"]) {
            noting.note();
        }
    });
    (probe, gate)
}

/// A worker whose heartbeat was late does not take its own claims for those of a dead one.
pub fn a_worker_does_not_reap_its_own<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked::<D>(conn, "a");
    let (gate, (probe, looks)) = (Gate::new(), looks());
    let running = Worker::new(D::probed_pool(&database.url(), 2, probe))
        .step(fetch_step!(), waiting_at(&gate))
        .threads(2)
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    gate.wait_for(1);
    testing::expire_leases(conn).expect("expired");
    looks.wait_for(looks.come() + 3);
    gate.open();
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.reaped, stats.lost), (1, 0, 0));
    clean(conn);
}

/// The database was away for longer than a lease: who comes back first leaves the others the time
/// to extend theirs, and then everybody's work counts.
pub fn an_outage_costs_no_claim<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked::<D>(conn, "a");
    let gate = Gate::new();
    let (holder, pool) = Switch::pool::<D>(&database.url(), 2, Probe::new(|_| {}));
    let holding = Worker::new(pool)
        .step(fetch_step!().lease(Duration::from_secs(3)), {
            let gate = Arc::clone(&gate);
            move |_, ()| {
                gate.pass();
                Ok(Response(json!(1)))
            }
        })
        .start()
        .expect("started");
    gate.wait_for(1);
    let (probe, looks) = looks();
    let (other, pool) = Switch::pool::<D>(&database.url(), 1, probe);
    let reaping = Worker::new(pool)
        .step(fetch_step!(), |_, ()| Ok(Response(json!("of another"))))
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    looks.wait_for(1);
    holder.off();
    other.off();
    other.wait_for_a_timeout();
    testing::expire_leases(conn).expect("expired");
    other.on();
    looks.wait_for(looks.come() + 3);
    let expired = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetching' AND seq = 2";
    assert_eq!(D::number(conn, expired), 1, "it is left to its holder");
    holder.on();
    gate.open();
    let finished = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";
    while D::number(conn, finished) == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let stats = holding.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.lost), (1, 0, 0));
    let stats = reaping.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.claimed, stats.reaped), (0, 0));
    clean(conn);
}

/// A database that is away while handlers end costs its time, and no flow, no try and no thread.
pub fn an_outage_costs_no_flow<D: Database>() {
    const THREADS: usize = 3;
    let database = D::migrated();
    let conn = &mut database.connect();
    for n in 0..2 * THREADS {
        picked::<D>(conn, &format!("{n}"));
    }
    let (before, after) = (Gate::new(), Gate::new());
    let (switch, pool) = Switch::pool::<D>(&database.url(), 2, Probe::new(|_| {}));
    let running = Worker::new(pool)
        .step(fetch_step!(), {
            let (before, after) = (Arc::clone(&before), Arc::clone(&after));
            move |_, ()| {
                if before.come() < THREADS {
                    before.pass();
                } else {
                    after.pass();
                }
                Ok(Response(json!(1)))
            }
        })
        .threads(THREADS)
        .start()
        .expect("started");
    before.wait_for(THREADS);
    switch.off();
    before.open();
    switch.wait_for_a_timeout();
    switch.on();
    // every thread is there again
    after.wait_for(THREADS);
    after.open();
    let finished = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";
    while D::number(conn, finished) < 6 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    let said = (stats.claimed, stats.finished, stats.failed, stats.lost, stats.reaped);
    assert_eq!(said, (6, 6, 0, 0, 0));
    clean(conn);
}

type Pooled<D> = Pool<ConnectionManager<<D as Database>::Conn>>;

/// A pool whose first claim is committed and not answered.
fn losing_the_first_answer<D: Database>(url: &str, lost: &Arc<Gate>) -> Pooled<D> {
    let (claiming, lost) = (AtomicBool::new(false), Arc::clone(lost));
    let probe = Probe::new(move |seen| {
        if !seen.answered || lost.come() > 0 {
            return;
        }
        if seen.ends(&["flowstate_flows", "SET state", "fetching"]) {
            claiming.store(true, Ordering::SeqCst);
        }
        // one statement, or the end of a transaction
        let committed = seen.commits() || seen.text.starts_with("WITH");
        if committed && claiming.load(Ordering::SeqCst) {
            lost.note();
            panic!("the answer to the claim was lost");
        }
    });
    D::probed_pool(url, 1, probe)
}

/// A claim was committed, and the answer lost: the worker gives it back as soon as it can, and the
/// record is claimed again as if nothing had been.
pub fn a_lost_answer_to_a_claim_costs_no_attempt<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let (lost, served) = (Gate::new(), Gate::new());
    let running = Worker::new(losing_the_first_answer::<D>(&database.url(), &lost))
        .step(fetch_step!(), {
            let served = Arc::clone(&served);
            move |claim, ()| {
                served.note();
                Ok(Response(json!(claim.attempt())))
            }
        })
        .start()
        .expect("started");
    served.wait_for(1);
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((lost.come(), stats.released, stats.finished), (1, 1, 1));
    let flow = Sync::find(id, conn).expect("found");
    assert_eq!(flow.artefact(conn).expect("read"), Some(Response(json!(1))), "the first try");
    clean(conn);
}

/// A claim whose answer was lost is given back by a worker that stops before it looks again.
pub fn a_lost_answer_to_a_claim_is_given_back_at_the_end<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let lost = Gate::new();
    let running = Worker::new(losing_the_first_answer::<D>(&database.url(), &lost))
        .step(fetch_step!().concurrency(1), |_, ()| Err("it should have stopped".into()))
        .start()
        .expect("started");
    lost.wait_for(1);
    running.shutdown(Duration::from_mins(1)).expect("stopped");
    let flow = Sync::find(id, conn).expect("found");
    // it may have looked again, and tried
    assert_ne!(flow.state(), SyncState::Fetching);
    assert_eq!(leased::<D>(conn), 0, "nothing waits for a lease");
    clean(conn);
}
