//! P05 to P07: waiting for locks.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, ConflictReason, Error, transaction};
use flowstate_tests::flows::Job;
use flowstate_tests::race::race;
use flowstate_tests::{check, refused};

use super::Server;

/// Moves two records, in opposite orders in two threads that have each locked one.
fn cross<D: Server, R: Send>(
    database: &D,
    both: impl Fn(&mut PgConnection, &mut dyn FnMut(&mut PgConnection) -> Result<(), Error>) -> R + Sync,
) -> Vec<R> {
    let ids = [0, 1].map(|_| Job::new("a").create(&mut database.connect()).expect("created").id());
    let locked = Barrier::new(2);
    race(2, |number, barrier| {
        let conn = &mut database.connect();
        conn.batch_execute("SET deadlock_timeout = '100ms'").unwrap_or_default();
        barrier.wait();
        let mut first = true;
        both(conn, &mut |conn| {
            let mut mine = Job::find(ids[number], conn)?;
            mine.transition(Job::ABANDON, conn).guard("locked", |_, _| true).run()?;
            if std::mem::take(&mut first) {
                locked.wait();
            }
            let other = Job::find(ids[1 - number], conn);
            other?.transition(Job::ABANDON, conn).guard("locked", |_, _| true).run()
        })
    })
}

/// P05: a deadlock is told as such, and retried by the outermost transaction.
pub(crate) fn p05_deadlock_is_classified<D: Server>() {
    let database = D::migrated();
    let tries = AtomicU32::new(0);
    let ended = cross(&database, |conn, body| {
        transaction(conn, |conn| {
            tries.fetch_add(1, Ordering::SeqCst);
            body(conn)
        })
    });
    // the second one finds the records gone
    let gone = |ended: &&Result<(), Error>| matches!(ended, Err(Error::NotFound { .. }));
    assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1, "{ended:?}");
    assert_eq!(ended.iter().filter(gone).count(), 1, "{ended:?}");
    // two, and the victim's again: once, or more often if it is back before the other was woken
    let tries = tries.load(Ordering::SeqCst);
    assert!(tries >= 3, "{tries}");

    // in the caller's own transaction it is the caller's to retry
    let ended = cross(&database, |conn, body| conn.transaction(body));
    let mut refused = ended.into_iter().filter_map(Result::err);
    let told = refused!(
        Err::<(), _>(refused.next().expect("one is refused")),
        Error::Conflict { reason, whole_transaction, .. } => (reason, whole_transaction)
    );
    assert_eq!(told, (ConflictReason::Deadlock, true));
    assert!(refused.next().is_none(), "the other goes on");
    check::clean(&mut database.connect());
}

/// P06: rows of the user's own that refer to a record do not wait for its lock.
pub(crate) fn p06_child_rows_do_not_wait<D: Server>() {
    let database = D::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.impatient());
    conn.batch_execute("CREATE TABLE mine (flow BIGINT REFERENCES flowstate_flows (id))")
        .expect("a table");
    let mut job = Job::new("a").create(conn).expect("created");
    let id = job.id();
    let insert = format!("INSERT INTO mine VALUES ({id})");
    job.transition(Job::WORK, conn)
        .within(|_, conn| {
            other.batch_execute(&insert)?;
            Ok(conn.batch_execute(&insert)?)
        })
        .run()
        .expect("no wait");
    // FOR UPDATE would have been in the way
    let waited = conn.transaction(|conn| {
        conn.batch_execute(&format!("SELECT 1 FROM flowstate_flows WHERE id = {id} FOR UPDATE"))?;
        Ok::<_, diesel::result::Error>(other.batch_execute(&insert))
    });
    assert!(waited.expect("selected").is_err());
    check::clean(conn);
}

/// P07: a lock that is not given in time, in the user's words.
pub(crate) fn p07_lock_timeout_is_classified<D: Server>() {
    let database = D::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.impatient());
    let mut job = Job::new("a").create(conn).expect("created");
    let mut waiting = Job::find(job.id(), conn).expect("found");
    let began = Instant::now();
    job.transition(Job::WORK, conn)
        .within(|_, _| {
            let refused = waiting.transition(Job::PARK, other).run().expect_err("locked");
            let text = refused.to_string();
            assert!(text.contains("the row stayed locked by another transaction"), "{text}");
            let (reason, whole) = refused!(
                Err::<(), _>(refused),
                Error::Conflict { reason, whole_transaction, .. } => (reason, whole_transaction)
            );
            assert_eq!((reason, whole), (ConflictReason::LockTimeout, false));
            // NOWAIT, as a caller may write it
            let nowait = transaction(other, |other| {
                other.batch_execute("SELECT 1 FROM flowstate_flows FOR UPDATE NOWAIT")?;
                Ok::<_, Error>(())
            });
            refused!(nowait, Error::Conflict { reason: ConflictReason::LockTimeout, .. });
            Ok::<_, BoxError>(())
        })
        .run()
        .expect("working");
    assert!(began.elapsed() < Duration::from_secs(10));
    check::clean(conn);
}

/// P07: a time-out for statements that is shorter than that for locks is a wait like another.
pub(crate) fn p07_a_statement_timeout_is_a_wait<D: Server>() {
    let database = D::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.connect());
    other.batch_execute("SET statement_timeout = '100ms'").expect("a time-out");
    let mut job = Job::new("a").create(conn).expect("created");
    let mut waiting = Job::find(job.id(), conn).expect("found");
    job.transition(Job::WORK, conn)
        .within(|_, _| {
            let refused = waiting.transition(Job::PARK, other).run();
            refused!(refused, Error::Conflict { reason: ConflictReason::StatementTimeout, .. });
            Ok::<_, BoxError>(())
        })
        .run()
        .expect("working");
    check::clean(conn);
}

/// A28 as the documentation sets connections up: with a bound in their URL, a guard that writes its
/// own row on a second connection fails in bounded time.
pub(crate) fn a28_the_url_bounds_the_wait<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let bounded = database.url().replace("lock_timeout%3D30s", "lock_timeout%3D200ms");
    assert_ne!(bounded, database.url());
    let other = &mut D::connect_to(&bounded);
    let mut job = Job::new("a").create(conn).expect("created");
    let id = job.id();
    let failed = job
        .transition(Job::WORK, conn)
        .guard("writes the same row elsewhere", |_, _| {
            let sql = format!("UPDATE flowstate_flows SET attempts = 7 WHERE id = {id}");
            other.batch_execute(&sql).map(|()| true)
        })
        .run();
    refused!(failed, Error::Conflict { reason: ConflictReason::LockTimeout, .. });
    assert_eq!(Job::find(id, conn).expect("found").seq(), 0);
    check::clean(conn);
}
