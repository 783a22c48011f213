//! What workers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Backoff, Error, StepError, Worker, claim_next, prelude::*, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Approval, ApprovalState, Response, Sync, SyncState};
use crate::steps::{picked, picked_together};
use crate::{Database, fetch_step, save_step};

/// Two steps, one of them transactional, take records from the start to the end.
pub fn steps_run_to_the_end<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    conn.batch_execute("CREATE TABLE saved (flow_id BIGINT NOT NULL, body VARCHAR(100) NOT NULL)")
        .expect("a table");
    let ids: Vec<_> = (0..20).map(|n| picked::<D>(conn, &format!("r{n}"))).collect();
    let stats = Worker::new(database.pool(4))
        .step(fetch_step!(), |claim, ()| Ok(Response(json!({ "of": claim.record_id }))))
        .transactional_step(save_step!(), |claim, Response(body), conn| {
            let id = claim.id();
            Ok(conn.batch_execute(&format!("INSERT INTO saved VALUES ({id}, '{}')", body["of"]))?)
        })
        .threads(4)
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.claimed, stats.finished, stats.failed, stats.running), (40, 40, 0, 0));
    for id in ids {
        assert_eq!(Sync::find(id, conn).expect("found").state(), SyncState::Completed);
    }
    assert_eq!(D::number(conn, "SELECT COUNT(DISTINCT flow_id) FROM saved"), 20);
    assert_eq!(D::number(conn, "SELECT COUNT(*) FROM saved"), 20);
    clean(conn);
}

/// Errors and panics take the fail transition with their text; when the attempts are used up
/// nobody takes the record any more.
pub fn failures_are_retried_and_end<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let tries = Arc::new(AtomicU32::new(0));
    for round in 1..=4 {
        let tries = Arc::clone(&tries);
        Worker::new(database.pool(1))
            .step(fetch_step!(), move |_, ()| match tries.fetch_add(1, Ordering::SeqCst) {
                0 => Err("the first error".into()),
                1 => panic!("the second, a panic"),
                _ => Err("the last".into()),
            })
            .run_until_idle()
            .expect("ran");
        let flow = Sync::find(id, conn).expect("found");
        assert_eq!(flow.state(), SyncState::FailedToFetch);
        assert_eq!(flow.due_at().is_some(), round < 3, "round {round}");
        testing::make_everything_due(conn).expect("due");
    }
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    let history = Sync::find(id, conn).expect("found").history(conn).expect("the history");
    let errors: Vec<_> = history.iter().filter_map(|row| row.error.as_deref()).collect();
    assert_eq!(
        errors,
        ["the first error", "the handler panicked: the second, a panic", "the last"]
    );
    let attempts: Vec<_> = history.iter().map(|row| row.attempt).collect();
    assert_eq!(attempts, [1, 1, 1, 1, 2, 2, 3, 3]);
    clean(conn);
}

/// `permanent` ends the tries at once.
pub fn a_permanent_error_ends_the_tries<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    Worker::new(database.pool(1))
        .step(fetch_step!(), |_, ()| Err(StepError::permanent("no such customer")))
        .run_until_idle()
        .expect("ran");
    let flow = Sync::find(id, conn).expect("found");
    assert_eq!((flow.state(), flow.due_at()), (SyncState::FailedToFetch, None));
}

/// The claim of a worker that stalled is failed over; when it wakes it can change nothing.
pub fn a13_a_late_worker_changes_nothing<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for late in ["finish", "fail", "extend", "release"] {
        let id = picked::<D>(conn, late);
        let step = fetch_step!();
        let mut stalled = claim_next(&step, conn).expect("no error").expect("a claim");
        assert_eq!(stalled.id(), id);
        testing::expire_leases(conn).expect("expired");
        // another worker reaps it, and finishes what is due again
        let stats = Worker::new(database.pool(1))
            .step(fetch_step!().retry(Backoff::fixed(Duration::ZERO).attempts(3)), |_, ()| {
                Ok(Response(json!("of the second")))
            })
            .run_until_idle()
            .expect("ran");
        assert_eq!((stats.reaped, stats.finished), (1, 1));
        let outcome = match late {
            "finish" => stalled.finish(Response(json!("of the first")), conn),
            "fail" => stalled.fail("too late", conn),
            "release" => stalled.release(conn),
            _ => stalled.extend(conn),
        };
        assert!(matches!(outcome, Err(Error::LeaseLost { .. })), "{late}: {outcome:?}");
        let flow = Sync::find(id, conn).expect("found");
        let response = flow.artefact::<Response>(conn).expect("read");
        assert_eq!(
            (flow.state(), response),
            (SyncState::Fetched, Some(Response(json!("of the second"))))
        );
        let history = flow.history(conn).expect("the history");
        assert!(history.iter().any(|row| row.error.as_deref() == Some("lease expired")));
    }
    clean(conn);
}

/// A handler that outlives the grace is cut off: its record can be claimed at once, and the try
/// does not count.
pub fn a29_a_shutdown_gives_back_what_is_left<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let ids = picked_together::<D>(conn, 2);
    let (begun, wait_begun) = std::sync::mpsc::channel();
    let (go_on, wait_go_on) = std::sync::mpsc::channel::<()>();
    let wait_go_on = std::sync::Mutex::new(wait_go_on);
    let running = Worker::new(database.pool(2))
        .step(fetch_step!().batch(2), move |claim, ()| {
            begun.send(claim.idempotency_key()).expect("sent");
            let _ = wait_go_on.lock().expect("not poisoned").recv();
            Ok(Response(json!("too late")))
        })
        .threads(1)
        .start()
        .expect("started");
    let key = wait_begun.recv().expect("one has begun");
    let stats = running.shutdown(Duration::from_millis(50)).expect("stopped");
    assert_eq!((stats.released, stats.running), (2, 0));
    for id in ids {
        let flow = Sync::find(id, conn).expect("found");
        assert_eq!((flow.state(), flow.attempt()), (SyncState::Picked, 1));
    }
    let again = claim_next(fetch_step!(), conn).expect("no error").expect("claimed at once");
    let other = claim_next(fetch_step!(), conn).expect("no error").expect("claimed at once");
    let keys = [again.idempotency_key(), other.idempotency_key()];
    assert!(keys.contains(&key) && keys[0] != keys[1], "{keys:?} {key}");
    again.finish(Response(json!(1)), conn).expect("finished");
    other.finish(Response(json!(2)), conn).expect("finished");
    drop(go_on);
    clean(conn);
}

/// A timed transition is taken when its time is over and not before, by the database's clock, while
/// the same state can be claimed too; leaving the state ends its time.
pub fn a_timed_transition_is_taken_in_time<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let run = || {
        let stats = Worker::new(database.pool(1)).timed::<Approval>().run_until_idle();
        stats.expect("ran").timed
    };
    let ask = |subject: &str, conn: &mut D::Conn| {
        Approval { subject: subject.to_owned() }.create(conn).expect("created")
    };
    let mut asked = ask("asked", conn);
    let mut approved = ask("approved", conn);
    let days = "SELECT COUNT(*) FROM flowstate_flows WHERE deadline_at IS NOT NULL";
    assert_eq!(D::number(conn, days), 2);
    approved.transition(Approval::APPROVE, conn).run().expect("approved");
    assert_eq!((run(), D::number(conn, days)), (0, 1), "not before its time");

    testing::pass_deadlines(conn).expect("passed");
    assert_eq!(run(), 1);
    asked.reload(conn).expect("reloaded");
    approved.reload(conn).expect("reloaded");
    assert_eq!(
        (asked.state(), approved.state()),
        (ApprovalState::Expired, ApprovalState::Approved)
    );
    assert_eq!(asked.history(conn).expect("the history")[1].transition, "expire");
    assert!(asked.completed_at().is_some() && asked.due_at().is_none());

    // claimable and timed at once: a claim takes it out of the timed state, the finish into another
    let mut reminded = ask("reminded", conn);
    let stats = Worker::new(database.pool(1))
        .step(Approval::REMIND, |_, ()| Ok(()))
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.finished, stats.timed), (1, 0));
    reminded.reload(conn).expect("reloaded");
    assert_eq!((reminded.state(), D::number(conn, days)), (ApprovalState::Reminded, 1));
    testing::pass_deadlines(conn).expect("passed");
    assert_eq!(run(), 1);
    clean(conn);
}
