//! Panics outside of handlers: they cost a try at the most, and no thread.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use flowstate_diesel::{BoxError, StepError, Worker, claim_next, prelude::*, testing};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Response, Sync, SyncState};
use crate::statement_probe::Probe;
use crate::steps::{leased, picked};
use crate::{Database, fetch_step, save_step};

/// An error that panics when it is asked for its text.
#[derive(Debug)]
struct Untold;

impl fmt::Display for Untold {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text for you")
    }
}

impl std::error::Error for Untold {}

/// A handler's error whose text panics fails the step as any other does.
pub fn an_error_without_a_text_fails_the_step<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let (plain, by_hand) = (picked::<D>(conn, "plain"), picked::<D>(conn, "by hand"));
    let claim = claim_next(fetch_step!(), conn).expect("no error").expect("a claim");
    assert_eq!(claim.id(), plain);
    claim.fail(Untold, conn).expect("failed");
    let stats = Worker::new(database.pool(1))
        .step(fetch_step!(), |_, ()| Err(Untold.into()))
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.failed, stats.running), (1, 0));
    for id in [plain, by_hand] {
        let history = Sync::find(id, conn).expect("found").history(conn).expect("the history");
        let error = history.last().and_then(|row| row.error.clone()).expect("an error");
        assert!(error.contains("no text for you"), "{error}");
    }
    testing::make_everything_due(conn).expect("due");
    let stats = Worker::new(database.pool(1))
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .transactional_step(save_step!(), |_, _, _| Err(StepError::from(BoxError::from(Untold))))
        .run_until_idle()
        .expect("ran");
    assert_eq!((stats.finished, stats.failed, stats.running), (2, 2, 0));
    clean(conn);
}

/// The instrumentation of a connection panics, in a look and in a finish: the thread goes on, and
/// the claim has failed.
pub fn a_panic_outside_a_handler_costs_no_thread<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = picked::<D>(conn, "a");
    let (looks, finishes) = (AtomicU32::new(0), Arc::new(AtomicU32::new(0)));
    let seen = Arc::clone(&finishes);
    let probe = Probe::new(move |statement| {
        if statement.ends(&["UNION ALL"]) {
            // the first is the one that claims
            assert_ne!(looks.fetch_add(1, Ordering::SeqCst), 1, "in a look");
        }
        if statement.starts(&["UPDATE flowstate_flows", "fetched"]) {
            // one that is refused with others is tried alone
            assert!(finishes.fetch_add(1, Ordering::SeqCst) >= 2, "in a finish");
        }
    });
    let pool = D::probed_pool(&database.url(), 1, probe);
    let running = Worker::new(pool)
        .step(fetch_step!(), |_, ()| Ok(Response(json!(1))))
        .start()
        .expect("started");
    let failed = "SELECT COUNT(*) FROM flowstate_transitions WHERE error LIKE '%in a finish%'";
    while D::number(conn, failed) == 0 {
        std::thread::yield_now();
    }
    // it looks on, and takes the next try
    testing::make_everything_due(conn).expect("due");
    let mut flow = Sync::find(id, conn).expect("found");
    while flow.state() != SyncState::Fetched {
        std::thread::yield_now();
        flow.reload(conn).expect("read");
    }
    let stats = running.shutdown(std::time::Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.running), (1, 1, 0));
    assert_eq!((seen.load(Ordering::SeqCst), leased::<D>(conn)), (3, 0));
    clean(conn);
}
