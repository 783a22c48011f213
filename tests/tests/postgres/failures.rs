//! P01, P08 and P09: transactions that have failed.

use std::thread;
use std::time::Duration;

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::{Connection as _, PgConnection};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, Error, transaction};
use flowstate_tests::flows::{Job, JobState};
use flowstate_tests::{check, refused};

use super::Server;

/// P01: COMMIT after a failed statement answers ROLLBACK, and Diesel says `Ok`. We do not.
pub(crate) fn p01_swallowed_failure_is_an_error<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let swallow = |conn: &mut PgConnection| {
        conn.batch_execute("INSERT INTO effects VALUES ('a')")?;
        conn.batch_execute("INSERT INTO no_such_table VALUES ('a')").unwrap_or_default();
        Ok::<_, diesel::result::Error>(())
    };
    conn.transaction(swallow).expect("Diesel takes it for committed");
    assert_eq!(check::rows::<D>(conn, "effects"), 0);

    let ours = |conn: &mut PgConnection| transaction(conn, |conn| Ok::<_, Error>(swallow(conn)?));
    let failure =
        refused!(ours(conn), Error::FailureIgnored { statement_error, .. } => statement_error);
    assert!(failure.contains("no_such_table"), "{failure}");
    // and where failures cannot be seen, since the connection has instrumentation of its own
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| ());
    let failure =
        refused!(ours(conn), Error::FailureIgnored { statement_error, .. } => statement_error);
    assert!(failure.contains("current transaction is aborted"), "{failure}");
    assert_eq!(check::rows::<D>(conn, "effects"), 0);
}

/// P08: a transaction that the server ended because it was idle is known not to be committed.
pub(crate) fn p08_idle_timeout_is_known_not_committed<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let connect = || {
        let mut conn = database.connect();
        let idle = "SET idle_in_transaction_session_timeout = '100ms'";
        conn.batch_execute(idle).expect("set");
        conn
    };
    let pause = || thread::sleep(Duration::from_millis(500));
    let mut job = Job::new("a").create(conn).expect("created");
    let slow = job
        .transition(Job::WORK, &mut connect())
        .within(|_, _| {
            pause();
            Ok::<_, BoxError>(())
        })
        .run();
    refused!(slow, Error::Database { .. });
    let slow = transaction(&mut connect(), |conn| {
        job.transition(Job::WORK, conn).run()?;
        pause();
        Ok::<_, Error>(())
    });
    refused!(slow, Error::Database { .. });
    assert_eq!(job.state(), JobState::Open);
    job.reload(conn).expect("reloaded");
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    check::clean(conn);
}

/// P09: the caller's transaction has failed before we are called.
pub(crate) fn p09_failed_transaction_is_named<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let refused = conn.transaction(|conn| {
        conn.batch_execute("SELECT 1 FROM no_such_table").unwrap_or_default();
        job.transition(Job::WORK, conn).run()
    });
    let text = refused.expect_err("it has failed").to_string();
    assert!(text.contains("a statement failed inside the transaction"), "{text}");
    check::clean(conn);
}
