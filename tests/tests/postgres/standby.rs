//! A standby: it shows everything, and takes no writes until it is promoted.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::{Error, Worker};
use flowstate_tests::flows::Response;
use flowstate_tests::gate::Gate;
use flowstate_tests::own_server::{OwnServer, ServerKind};
use flowstate_tests::statement_probe::Probe;
use flowstate_tests::steps::picked;
use flowstate_tests::{Database as _, Postgres, fetch_step, refused};
use serde_json::json;

/// A worker says at its first poll why nothing is done, though nothing is due, and takes work as soon
/// as the standby is promoted.
pub(crate) fn a_worker_waits_for_the_promotion() {
    let mut primary = OwnServer::start(ServerKind::Postgres);
    flowstate_diesel::migrate(&mut Postgres::connect_to(&primary.url())).expect("migrated");
    let mut standby = OwnServer::prepared(ServerKind::Postgres);
    standby.copy(&mut primary);
    standby.restart();

    let pool = Postgres::probed_pool(&standby.url(), 1, Probe::new(|_| {}));
    let idle = Worker::new(pool.clone()).step(fetch_step!(), |_, ()| unreachable!());
    let source = refused!(idle.run_until_idle(), Error::Database { source, .. } => source);
    assert!(source.to_string().contains("in a read-only transaction"), "{source}");

    let finished = Gate::new();
    let done = std::sync::Arc::clone(&finished);
    let running = Worker::new(pool)
        .step(fetch_step!(), move |_, ()| {
            done.note();
            Ok(Response(json!(1)))
        })
        .poll(Duration::from_millis(50))
        .start()
        .expect("started");
    drop(primary);
    let conn = &mut Postgres::connect_to(&standby.url());
    conn.batch_execute("SELECT pg_promote()").expect("promoted");
    picked::<Postgres>(conn, "a");
    finished.wait_for(1);
    running.shutdown(Duration::from_secs(5)).expect("stopped");
}
