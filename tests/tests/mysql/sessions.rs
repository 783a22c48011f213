//! What is set for a session or the whole server, and what must hold all the same.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Unfit, Worker, transaction};
use flowstate_tests::database::server::Served;
use flowstate_tests::flows::{Job, Response};
use flowstate_tests::gate::Gate;
use flowstate_tests::own_server::{OwnServer, ServerKind};
use flowstate_tests::proxy::{Cut, Proxy};
use flowstate_tests::set_up_connection::SetUpConnections;
use flowstate_tests::statement_probe::Probe;
use flowstate_tests::{check, fetch_step, refused};
use serde_json::json;

use super::Server;

/// What another program makes due: nothing in this process wakes the worker for it.
const DUE: &str = "INSERT INTO flowstate_flows \
     (flow, state, seq, props, attempts, due_at, created_at, updated_at) VALUES ('sync', 'picked', 0, \
     '{\"record_id\":\"a\",\"party_id\":\"b\"}', 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))";

/// A server that leaves transactions open between statements: an idle worker still sees what is new.
pub(crate) fn a_worker_without_autocommit_sees_new_work<D: Server>() {
    let server = OwnServer::start_with(ServerKind::MariaDb, &["--autocommit=0"]);
    let conn = &mut D::connect_to(&server.url());
    assert_eq!(D::number(conn, "SELECT @@autocommit"), 0);
    flowstate_diesel::migrate(conn).expect("migrated");
    let (polls, finished) = (Gate::new(), Gate::new());
    let polled = Arc::clone(&polls);
    let probe = Probe::new(move |seen| {
        if seen.ends(&["UNION ALL"]) {
            polled.note();
        }
    });
    let done = Arc::clone(&finished);
    let running = Worker::new(D::probed_pool(&server.url(), 1, probe))
        .step(fetch_step!(), move |_, ()| {
            done.note();
            Ok(Response(json!(1)))
        })
        .poll(Duration::from_millis(20))
        .start()
        .expect("started");
    polls.wait_for(2);
    conn.batch_execute(DUE).expect("due");
    conn.batch_execute("COMMIT").expect("committed");
    finished.wait_for(1);
    running.shutdown(Duration::from_secs(5)).expect("stopped");
}

/// On Galera the node that is asked may not know yet what another has committed: it is told to catch
/// up, and only for this question. (Whether that helps is shown by the driver of clusters.)
pub(crate) fn an_outcome_is_asked_of_a_node_that_caught_up<D: Served + Server>() {
    let database = D::migrated();
    let proxy = Proxy::start(&D::address());
    let through = &mut D::connect_to(&database.url_through(proxy.port()));
    let mut job = Job::new("a").create(through).expect("created");
    proxy.cut(Cut::After, D::LAST_WORDS);
    let moved = job.transition(Job::WORK, through).run();
    let unknown = refused!(moved, Error::OutcomeUnknown(unknown) => unknown);

    let conn = &mut database.connect();
    // other servers do not know it
    let is_known = conn.batch_execute("SET SESSION wsrep_sync_wait = 2").is_ok();
    let (probe, kept) = Probe::recording();
    probe.over(conn);
    assert_eq!(unknown.resolve(conn).expect("resolved"), Some(true));
    let sent = kept.take();
    let at = |words: &str| sent.iter().position(|text| text.contains(words));
    let waits = at("wsrep_sync_wait = 15").expect("set");
    let asks = at("FOR UPDATE").expect("asked");
    assert!(waits < asks, "{sent:?}");
    if is_known {
        assert_eq!(D::number(conn, "SELECT @@SESSION.wsrep_sync_wait"), 2, "as before");
    }
}

/// What would fail in every call, or change its meaning, is refused by name.
pub(crate) fn a_mode_that_does_not_serve_is_refused<D: Server>() {
    let database = D::empty();
    let conn = &mut database.connect();
    // MySQL, other than MariaDB, has no such mode any more
    if conn.batch_execute("SET SESSION sql_mode = 'ORACLE'").is_ok() {
        refused!(flowstate_diesel::migrate(conn), Error::Unfit(Unfit::OracleMode));
        conn.batch_execute("SET SESSION sql_mode = DEFAULT").expect("as before");
    }
    flowstate_diesel::migrate(conn).expect("migrated");

    let server = OwnServer::start_with(
        ServerKind::MariaDb,
        &["--log-bin=log", "--server-id=1", "--binlog-format=STATEMENT"],
    );
    let conn = &mut D::connect_to(&server.url());
    let level = |level: &str| format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}");
    conn.batch_execute(&level("READ COMMITTED")).expect("the level");
    refused!(flowstate_diesel::migrate(conn), Error::Unfit(Unfit::StatementLog));
    conn.batch_execute(&level("REPEATABLE READ")).expect("the level");
    flowstate_diesel::migrate(conn).expect("migrated");
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
}

/// A session that refuses updates without a key is refused by name, before a worker claims nothing.
pub(crate) fn safe_updates_are_refused<D: Server>() {
    let database = D::migrated();
    let pool = SetUpConnections::<D>::pool(&database.url(), 1, |conn| {
        conn.batch_execute("SET SESSION sql_safe_updates = 1").expect("set");
    });
    let migrated = flowstate_diesel::migrate(&mut *pool.get().expect("a connection"));
    refused!(migrated, Error::Unfit(Unfit::SafeUpdates));
    let worker = Worker::new(pool).step(fetch_step!(), |_, ()| Ok(Response(json!(1))));
    let refused = refused!(worker.start(), Error::Unfit(refused @ Unfit::SafeUpdates) => refused);
    assert!(refused.to_string().contains("SET SESSION sql_safe_updates = 0"), "{refused}");
}

/// Where autocommit is off a statement begins a transaction that nothing has named: what it wrote is
/// not committed with a transaction of ours. One that has begun nothing is in nobody's way.
pub(crate) fn what_began_without_autocommit_is_refused<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    for earlier in [true, false] {
        conn.batch_execute("SET autocommit = 0").expect("set");
        conn.batch_execute("INSERT INTO effects (name) VALUES ('mine')").expect("written");
        refused!(Job::new("a").create(conn), Error::TransactionByHand { .. });
        let made = transaction(conn, |conn| Job::new("a").create(conn));
        refused!(made, Error::TransactionByHand { .. });
        conn.batch_execute("ROLLBACK").expect("rolled back");
        assert_eq!(check::rows::<D>(conn, "effects"), 0, "earlier: {earlier}");
        conn.batch_execute("COMMIT").expect("read");
        Job::new("a").create(conn).expect("created");
    }
    assert_eq!(check::sizes::<D>(conn), [2, 2, 0]);
}
