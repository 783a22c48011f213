//! Steps that a job of one's own takes by hand, with a lease.

use std::time::Duration;

use flowstate_diesel::{Error, Page, Worker, claim_next, prelude::*, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Response, Sync, SyncState};
use crate::steps::picked;
use crate::{Database, child, fetch_step, refused};

/// Runs the fetching step until nothing is due.
fn fetch<D: Database>(database: &D) -> flowstate_diesel::Stats {
    let worker = Worker::new(database.pool(1)).step(fetch_step!(), |_, ()| Ok(Response(json!(1))));
    worker.run_until_idle().expect("ran")
}

/// A process takes a step by hand and dies: when its lease has run out, any worker fails the try over,
/// and tries again.
pub fn a_dead_job_is_failed_over<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let ended = child::run::<D>("leased", &database.url());
    assert!(!ended.status.success(), "{ended:?}");
    let stats = fetch(&database);
    assert_eq!((stats.claimed, stats.reaped), (0, 0), "the lease of the dead still holds");
    testing::expire_leases(conn).expect("expired");
    let stats = fetch(&database);
    assert_eq!((stats.claimed, stats.reaped), (0, 1));
    let sync = Sync::find(id, conn).expect("found");
    assert_eq!((sync.state(), sync.attempt()), (SyncState::FailedToFetch, 2));
    let history = sync.history(conn).expect("the history");
    let told: Vec<_> = history.iter().map(|row| (&*row.transition, row.error.as_deref())).collect();
    assert_eq!(
        told[2..],
        [("start_fetch", None), ("fail_fetch", Some("lease expired"))],
        "a failed try as any other"
    );
    testing::make_everything_due(conn).expect("due");
    assert_eq!(fetch(&database).finished, 1);
    clean(conn);
}

/// The child of the former.
pub fn leased_in_child<D: Database>(url: &str) {
    let conn = &mut D::connect_to(url);
    let page = Page::first(1);
    let mut syncs = Sync::list([SyncState::Picked], page, conn).expect("listed");
    let sync = syncs.first_mut().expect("one");
    let request = sync.transition(Sync::START_FETCH, conn).lease(Duration::from_hours(1));
    request.run().expect("taken");
    std::process::abort();
}

/// What is leased is nobody else's; its end clears the lease, and one that comes too late is refused
/// by the state, or by a guard where somebody else is at it again.
pub fn a_lease_by_hand_is_a_claim<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let mut job = Sync::find(id, conn).expect("found");
    let lease = Duration::from_hours(1);
    let leased = "SELECT COUNT(*) FROM flowstate_flows WHERE leased_until IS NOT NULL \
         AND leased_by IS NOT NULL AND due_at IS NULL";

    // in a transaction, with a closure
    job.transition(Sync::START_FETCH, conn)
        .lease(lease)
        .within(|_, _| Ok(()))
        .run()
        .expect("taken");
    assert_eq!((D::number(conn, leased), job.due_at()), (1, None));
    assert!(claim_next(fetch_step!(), conn).expect("no error").is_none());
    testing::expire_leases(conn).expect("expired");
    assert_eq!(fetch(&database).reaped, 1);
    let late = job.transition(Sync::FINISH_FETCH, conn).persist(Response(json!(0))).run();
    refused!(late, Error::InvalidTransition { .. });

    // in one statement
    job.transition(Sync::START_FETCH, conn).lease(lease).run().expect("taken again");
    assert_eq!((D::number(conn, leased), job.attempt()), (1, 2));
    testing::expire_leases(conn).expect("expired");
    assert_eq!(fetch(&database).reaped, 1);
    testing::make_everything_due(conn).expect("due");
    let claim = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
    let mine = job.seq();
    let late = job
        .transition(Sync::FINISH_FETCH, conn)
        .persist(Response(json!(0)))
        .guard("still my claim", move |now, _| now.seq() == mine)
        .run();
    refused!(late, Error::GuardRejected { .. });
    claim.finish(Response(json!(1)), conn).expect("finished");

    // a request that goes on has none
    let mut other = Sync::find(picked::<D>(conn, "b"), conn).expect("found");
    let request = other.transition(Sync::START_FETCH, conn).lease(lease).then(Sync::FAIL_FETCH);
    request.run().expect("failed by hand");
    assert_eq!(D::number(conn, leased), 0);
    other.transition(Sync::START_FETCH, conn).lease(lease).run().expect("taken");
    let request = other.transition(Sync::FINISH_FETCH, conn).persist(Response(json!(1)));
    request.run().expect("finished in time");
    assert_eq!((D::number(conn, leased), other.due_at().is_some()), (0, true));
    clean(conn);
}
