//! A disk that is full for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flowstate_diesel::{Worker, prelude::*};
use flowstate_tests::flows::{Response, Sync};
use flowstate_tests::gate::Gate;
use flowstate_tests::set_up_connection::SetUpConnections;
use flowstate_tests::statement_probe::Probe;
use flowstate_tests::steps::picked;
use flowstate_tests::{Database, RollbackJournal, Sqlite, check, fetch_step};
use serde_json::json;

/// A full disk costs a worker its time: what handlers have come to is kept until there is room, however
/// often it was refused; none runs again, and no try is counted.
fn costs_its_time<D: Database<Conn = SqliteConnection>>() {
    let database = D::migrated();
    let refused = Gate::new();
    let probe = {
        let refused = Arc::clone(&refused);
        Probe::new(move |seen| {
            if seen.ends(&["INSERT INTO flowstate_artefacts"]) {
                refused.note();
            }
        })
    };
    // the limit is a connection's own
    let pool = SetUpConnections::<D>::pool(&database.url(), 1, move |conn| probe.over(conn));
    let ids: Vec<_> = {
        let conn = &mut *pool.get().expect("a connection");
        let ids = (0..5).map(|n| picked::<D>(conn, &format!("{n}"))).collect();
        let pages = D::number(conn, "PRAGMA page_count");
        // claims still fit
        D::number(conn, &format!("PRAGMA max_page_count = {}", pages + 1));
        ids
    };
    let ran = Arc::<AtomicUsize>::default();
    let running = Worker::new(pool.clone())
        .step(fetch_step!(), {
            let ran = Arc::clone(&ran);
            move |_, ()| {
                ran.fetch_add(1, Ordering::SeqCst);
                Ok(Response(json!("x".repeat(20_000))))
            }
        })
        .threads(2)
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    // more often than what a database refuses for good is tried
    refused.wait_for(20);
    let full = pool.get().map(|mut conn| {
        let conn = &mut *conn;
        let full = D::number(conn, "SELECT COUNT(*) FROM flowstate_artefacts");
        D::number(conn, "PRAGMA max_page_count = 1000000");
        full
    });
    assert_eq!(full.expect("the connection"), 0, "until then there was no room");
    let conn = &mut database.connect();
    let done = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'fetched'";
    Gate::new().wait_for_one(|| D::number(conn, done) == 5);
    let stats = running.shutdown(Duration::from_mins(1)).expect("stopped");
    assert_eq!((stats.finished, stats.failed, stats.lost, stats.reaped), (5, 0, 0, 0));
    assert_eq!(ran.load(Ordering::SeqCst), 5, "each once");
    for id in ids {
        let flow = Sync::find(id, conn).expect("found");
        let history = flow.history(conn).expect("the history");
        assert!(history.iter().all(|entry| entry.error.is_none() && entry.attempt == 1));
    }
    check::clean(conn);
}

#[test]
fn s08_a_full_disk_costs_a_worker_its_time() {
    costs_its_time::<Sqlite>();
    costs_its_time::<RollbackJournal>();
}
