//! Failed tries: how often, how long in between, and what remains the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::{Backoff, StepError, Worker, claim_next, prelude::*, testing};

use crate::check::{self, clean};
use crate::flows::{
    Limited, LimitedState, Receipt, Round, RoundState, RoundWorkOutcome, Sync, SyncState,
};
use crate::steps::picked;
use crate::{Database, child, fetch_step, round_step};

/// `retry_after` sets the pause, but gives no further attempt.
pub fn retry_after_sets_the_pause<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let hour = Duration::from_hours(1);
    for attempt in 1..=3 {
        Worker::new(database.pool(1))
            .step(fetch_step!(), move |_, ()| Err(StepError::retry_after(hour, "too many")))
            .run_until_idle()
            .expect("ran");
        let flow = Sync::find(id, conn).expect("found");
        assert_eq!(flow.state(), SyncState::FailedToFetch);
        if attempt < 3 {
            let pause = flow.due_at().expect("a further attempt") - flow.updated_at();
            assert!((pause.num_seconds() - 3600).abs() < 60, "{pause}");
        } else {
            assert_eq!(flow.due_at(), None, "the attempts are used up");
        }
        testing::make_everything_due(conn).expect("due");
    }
}

/// The attempts of a step that comes round again start afresh when it has finished.
pub fn attempts_restart_after_a_finish<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut flow = Round::new().create(conn).expect("created");
    let step = round_step!();
    for (fails, round) in [(2, 1), (2, 2), (1, 3)] {
        for failed in 1..=fails {
            let claim = claim_next(&step, conn).expect("no error").expect("a claim");
            assert_eq!(claim.attempt(), failed, "round {round}");
            claim.fail("no", conn).expect("failed");
            testing::make_everything_due(conn).expect("due");
        }
        let claim = claim_next(&step, conn).expect("no error").expect("a claim");
        claim.finish(RoundWorkOutcome::Resting(Receipt::new()), conn).expect("finished");
    }
    flow.reload(conn).expect("read");
    assert_eq!((flow.state(), flow.attempt()), (RoundState::Waiting, 1));
    clean(conn);
}

/// The key for other systems: the same over failed, released and expired tries, another one for
/// the next round, another record and another step.
pub fn the_idempotency_key_is_that_of_the_step<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    Round::new().create(conn).expect("created");
    let step = round_step!().retry(Backoff::fixed(Duration::ZERO).attempts(9));
    let mut keys = Vec::new();
    for round in 0..2 {
        let mut tries = Vec::new();
        for end in ["fail", "release", "expire", "finish"] {
            let claim = claim_next(&step, conn).expect("no error").expect("a claim");
            tries.push(claim.idempotency_key());
            match end {
                "fail" => claim.fail("no", conn).expect("failed"),
                "release" => claim.release(conn).expect("released"),
                "finish" => {
                    claim
                        .finish(RoundWorkOutcome::Resting(Receipt::new()), conn)
                        .expect("finished");
                }
                _ => {
                    drop(claim);
                    testing::expire_leases(conn).expect("expired");
                    let reaper = Worker::new(database.pool(1))
                        .step(round_step!().concurrency(1), |_, ()| Err("no".into()));
                    assert_eq!(reaper.run_until_idle().expect("ran").reaped, 1);
                    testing::make_everything_due(conn).expect("due");
                }
            }
        }
        tries.dedup();
        assert_eq!(tries.len(), 1, "round {round}: {tries:?}");
        keys.append(&mut tries);
    }
    let round = claim_next(&step, conn).expect("no error").expect("a claim");
    keys.push(round.idempotency_key());
    round.release(conn).expect("released");
    Round::new().create(conn).expect("another");
    let other = claim_next(&step, conn).expect("no error").expect("a claim");
    let next = claim_next(&step, conn).expect("no error").expect("a claim");
    keys.extend([other.idempotency_key(), next.idempotency_key()]);
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4, "two rounds, a third in two tries, another record: {keys:?}");
}

/// A time limit of the running state ends a try as a failure does: it is counted, followed by the
/// pause, and after the last one nothing is due.
pub fn a_time_limit_of_the_running_state_counts<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = Limited {}.create(conn).expect("created").id();
    let step =
        || Limited::RUN.retry(Backoff::fixed(Duration::from_hours(1)).jitter(0.0).attempts(2));
    for failed in 1..=2 {
        drop(claim_next(&step(), conn).expect("no error").expect("a claim"));
        testing::pass_deadlines(conn).expect("passed");
        let worker = Worker::new(database.pool(1)).step(step(), |_, ()| Err("too early".into()));
        let stats = worker.run_until_idle().expect("ran");
        assert_eq!((stats.timed, stats.claimed), (1, 0), "the pause is kept");
        let flow = Limited::find(id, conn).expect("found");
        assert_eq!((flow.state(), flow.attempt()), (LimitedState::NotDone, failed + 1));
        assert_eq!(flow.due_at().is_some(), failed == 1, "the last one gives up");
        testing::make_everything_due(conn).expect("due");
    }
    assert!(claim_next(&step(), conn).expect("no error").is_none());
    clean(conn);
}

/// A17: a handler that kills its process is started exactly as often as it has attempts.
pub fn a17_a_deadly_handler_is_tried_three_times<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let id = picked::<D>(conn, "a");
    for life in 1..=5 {
        let ended = child::run::<D>("deadly", &database.url());
        let (alive, flow) = (ended.status.success(), Sync::find(id, conn).expect("found"));
        if life <= 3 {
            assert!(!alive, "life {life}: {ended:?}");
            assert_eq!(flow.state(), SyncState::Fetching);
        } else {
            assert!(alive, "life {life}: {ended:?}");
            assert_eq!((flow.state(), flow.due_at()), (SyncState::FailedToFetch, None));
        }
        testing::expire_leases(conn).expect("expired");
        // what is due after the reaper has been
        let reaper = Worker::new(database.pool(1)).step(fetch_step!(), |_, ()| Err("no".into()));
        reaper.run_until_idle().expect("ran");
        testing::make_everything_due(conn).expect("due");
    }
    assert_eq!(check::rows::<D>(conn, "effects"), 3, "started exactly three times");
    let history = Sync::find(id, conn).expect("found").history(conn).expect("the history");
    let expired = history.iter().filter(|row| row.error.as_deref() == Some("lease expired"));
    assert_eq!(expired.count(), 3);
    clean(conn);
}

/// The child of the former.
pub fn deadly_in_child<D: Database>(url: &str) {
    let (pool, at) =
        (D::probed_pool(url, 1, crate::statement_probe::Probe::new(|_| {})), url.to_owned());
    let started = Arc::new(AtomicU32::new(0));
    Worker::new(pool)
        .step(fetch_step!(), move |_, ()| {
            started.fetch_add(1, Ordering::SeqCst);
            let conn = &mut D::connect_to(&at);
            conn.batch_execute("INSERT INTO effects VALUES ('started')").expect("told");
            std::process::abort()
        })
        .run_until_idle()
        .expect("ran");
}
