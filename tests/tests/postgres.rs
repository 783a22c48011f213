//! What only PostgreSQL does: the rows P01 to P10 of the failure matrix, and how many statements a
//! call takes.
#![cfg(feature = "postgres")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::{Connection as _, PgConnection};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, ConflictReason, Error, transaction};
use flowstate_tests::flows::{Bill, Job, JobRecord, JobState, Note};
use flowstate_tests::race::race;
use flowstate_tests::require::{crowd, cut};
use flowstate_tests::statements::sent;
use flowstate_tests::{Database, Postgres, check, refused};
use serde_json::json;

#[path = "postgres/horizon.rs"]
mod horizon;
mod pgbouncer;

#[test]
fn a12_unknown_outcome_is_said_and_resolved() {
    cut::a12_unknown_outcome_is_said_and_resolved::<Postgres>();
}

#[test]
fn a12_what_is_new_or_gone_is_resolved() {
    flowstate_tests::require::cut_create::a12_what_is_new_or_gone_is_resolved::<Postgres>();
}

#[test]
fn one_of_32_threads_wins() {
    crowd::one_of_32_threads_wins::<Postgres>();
}

#[test]
fn eight_threads_lose_nothing() {
    crowd::eight_threads_lose_nothing::<Postgres>();
}

fn half(name: &str, conn: &mut PgConnection) -> JobRecord {
    let mut job = Job::new(name).create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    job.transition(Job::NOTE, conn).persist(Note(json!(name))).run().expect("noted");
    job
}

/// A transition is one statement, and as many round trips.
#[test]
fn the_fast_path_is_one_statement() {
    let database = Postgres::migrated();
    let conn = &mut database.connect();
    let (texts, created) = sent(conn, |conn| Job::new("a").create(conn));
    let mut job = created.expect("created");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let (texts, created) = sent(conn, |conn| Job::new("a").create_once("key", conn));
    created.expect("created");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let (texts, moved) = sent(conn, |conn| job.transition(Job::WORK, conn).run());
    moved.expect("working");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let (texts, moved) = sent(conn, |conn| {
        let note = job.transition(Job::NOTE, conn).persist(Note(json!({"a": null})));
        note.actor("me").then(Job::BILL).persist((Note(json!(null)), Bill { lines: vec![1] })).run()
    });
    moved.expect("noted and billed");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    assert_eq!(job.artefact(conn).expect("read"), Some(Note(json!(null))));
    // what the record wrote itself is there as long as the row has not moved
    let (texts, loaded) = sent(conn, |conn| job.transition(Job::READ, conn).run());
    assert_eq!(loaded.expect("read"), Note(json!(null)));
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let (texts, moved) =
        sent(conn, |conn| job.transition(Job::NOTE, conn).persist(Note(json!(1))).run());
    moved.expect("noted");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    // anything else that is loaded is decoded before something is written: A22
    let mut job = Job::find(job.id(), conn).expect("found");
    let (texts, loaded) = sent(conn, |conn| job.transition(Job::READ, conn).run());
    assert_eq!(loaded.expect("read"), Note(json!(1)));
    assert_eq!(texts.len(), 2, "{texts:#?}");
    // each form is prepared once: several links, one, and one with an artefact
    let prepared = "SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE 'WITH moved%'";
    assert_eq!(Postgres::number(conn, prepared), 3);
    check::clean(conn);
}

/// BEGIN, the lock, the caller's own, the transition, COMMIT.
#[test]
fn the_slow_path_is_four_statements() {
    let database = Postgres::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let mut job = Job::new("a").create(conn).expect("created");
    let (texts, moved) = sent(conn, |conn| {
        job.transition(Job::WORK, conn)
            .guard("it may", |_, _| true)
            .update(|job| job.name.push('b'))
            .within(|_, conn| conn.batch_execute("INSERT INTO effects VALUES ('a')"))
            .then(Job::FAIL)
            .run()
    });
    moved.expect("failed");
    assert_eq!(texts.len(), 4 + 1, "{texts:#?}");
    check::clean(conn);
}

/// Trap 2: a statement that waited for a lock sees the new row, but other tables as they were.
#[test]
fn what_is_loaded_after_a_wait_is_the_newest() {
    let database = Postgres::migrated();
    let conn = &mut database.connect();
    let mut job = half("old", conn);
    let id = job.id();
    let waiting = Barrier::new(2);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let conn = &mut database.connect();
            let mut stale = Job::find(id, conn).expect("found");
            waiting.wait();
            waiting.wait();
            stale.transition(Job::READ, conn).run().expect("read")
        });
        waiting.wait();
        transaction(conn, |conn| {
            job.transition(Job::NOTE, conn).persist(Note(json!("new"))).run()?;
            waiting.wait();
            thread::sleep(Duration::from_millis(300));
            Ok::<_, Error>(())
        })
        .expect("noted");
        assert_eq!(reader.join().expect("no panic"), Note(json!("new")));
    });
    check::clean(conn);
}

/// P01: COMMIT after a failed statement answers ROLLBACK, and Diesel says `Ok`. We do not.
#[test]
fn p01_swallowed_failure_is_an_error() {
    let database = Postgres::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let swallow = |conn: &mut PgConnection| {
        conn.batch_execute("INSERT INTO effects VALUES ('a')")?;
        conn.batch_execute("INSERT INTO no_such_table VALUES ('a')").unwrap_or_default();
        Ok::<_, diesel::result::Error>(())
    };
    conn.transaction(swallow).expect("Diesel takes it for committed");
    assert_eq!(check::rows::<Postgres>(conn, "effects"), 0);

    let ours = |conn: &mut PgConnection| transaction(conn, |conn| Ok::<_, Error>(swallow(conn)?));
    let failure =
        refused!(ours(conn), Error::FailureIgnored { statement_error, .. } => statement_error);
    assert!(failure.contains("no_such_table"), "{failure}");
    // and where failures cannot be seen, since the connection has instrumentation of its own
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| ());
    let failure =
        refused!(ours(conn), Error::FailureIgnored { statement_error, .. } => statement_error);
    assert!(failure.contains("current transaction is aborted"), "{failure}");
    assert_eq!(check::rows::<Postgres>(conn, "effects"), 0);
}

/// P02: a transition is held against what the locking read gives, not what was read before.
#[test]
fn p02_only_the_locking_read_counts() {
    let database = Postgres::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.connect());
    let mut job = Job::new("a").create(conn).expect("created");
    let refused = transaction(conn, |conn| {
        let mut read = Job::find(job.id(), conn)?;
        job.transition(Job::WORK, other).run()?;
        assert_eq!(read.state(), JobState::Open);
        read.transition(Job::PARK, conn).run()
    });
    let found = refused!(refused, Error::InvalidTransition { found, .. } => found);
    assert_eq!(found, "working");
    check::clean(conn);
}

/// P03: an old snapshot cannot be helped from inside.
#[test]
fn p03_old_snapshot_wants_the_whole_transaction() {
    let database = Postgres::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.connect());
    let mut job = Job::new("a").create(conn).expect("created");
    let refused = conn.build_transaction().repeatable_read().run(|conn| {
        let mut read = Job::find(job.id(), conn)?;
        job.transition(Job::WORK, other).run()?;
        read.transition(Job::PARK, conn).run()
    });
    let told = refused!(
        refused,
        Error::Conflict { reason, whole_transaction, tries, .. } => (reason, whole_transaction, tries)
    );
    assert_eq!(told, (ConflictReason::Serialization, true, 1));
    check::clean(conn);
}

/// P04: write skew is noticed at COMMIT, which is a conflict and not an unknown outcome.
#[test]
fn p04_write_skew_is_retried() {
    let database = Postgres::migrated();
    let jobs = [0, 1].map(|_| Job::new("a").create(&mut database.connect()).expect("created"));
    let ids = jobs.map(|job| job.id());
    let (read, written, tries) = (Barrier::new(2), Barrier::new(2), AtomicU32::new(0));
    let moved = race(2, |number, barrier| {
        let conn = &mut database.connect();
        conn.batch_execute("SET default_transaction_isolation = 'serializable'").expect("set");
        barrier.wait();
        let mut first = true;
        transaction(conn, |conn| {
            tries.fetch_add(1, Ordering::SeqCst);
            let first = std::mem::take(&mut first);
            let other = Job::find(ids[1 - number], conn)?;
            let mut job = Job::find(ids[number], conn)?;
            first.then(|| read.wait());
            let alone = other.state() == JobState::Open;
            if alone {
                job.transition(Job::WORK, conn).run()?;
            }
            first.then(|| written.wait());
            Ok::<_, Error>(alone)
        })
        .expect("retried")
    });
    assert_eq!(moved.into_iter().filter(|moved| *moved).count(), 1, "one at a time");
    assert!(tries.load(Ordering::SeqCst) > 2);
    check::clean(&mut database.connect());
}

/// Moves two records, in opposite orders in two threads that have each locked one.
fn cross<R: Send>(
    database: &Postgres,
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
#[test]
fn p05_deadlock_is_classified() {
    let database = Postgres::migrated();
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
    assert_eq!(tries.load(Ordering::SeqCst), 3);

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
#[test]
fn p06_child_rows_do_not_wait() {
    let database = Postgres::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.impatient());
    conn.batch_execute("CREATE TABLE mine (flow BIGINT REFERENCES flowstate_flows (id))")
        .expect("a table");
    let mut job = Job::new("a").create(conn).expect("created");
    let id = job.id();
    let insert = format!("INSERT INTO mine VALUES ({id})");
    job.transition(Job::WORK, conn)
        .within(|_, conn| {
            other.batch_execute(&insert)?;
            conn.batch_execute(&insert)
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
#[test]
fn p07_lock_timeout_is_classified() {
    let database = Postgres::migrated();
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

/// P08: a transaction that the server ended because it was idle is known not to be committed.
#[test]
fn p08_idle_timeout_is_known_not_committed() {
    let database = Postgres::migrated();
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
#[test]
fn p09_failed_transaction_is_named() {
    let database = Postgres::migrated();
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

/// P10: through a pooler that gives each transaction another session.
#[test]
fn p10_no_session_state_is_relied_on() {
    pgbouncer::every_session_serves();
}

/// A12: a creation that the server is still at is waited for, though nobody can see its row.
#[test]
fn a12_a_creation_under_way_can_be_waited_for() {
    let database = Postgres::migrated();
    let conn = &mut database.connect();
    let block = "SELECT pg_advisory_lock(hashtext(current_schema()))";
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                PERFORM pg_advisory_xact_lock(hashtext(current_schema())); RETURN NEW; END $$";
    let on_insert = "CREATE TRIGGER slow AFTER INSERT ON flowstate_transitions \
                     FOR EACH ROW EXECUTE FUNCTION slow()";
    [slow, on_insert, block].iter().for_each(|sql| conn.batch_execute(sql).expect(sql));
    thread::scope(|scope| {
        let creating = scope.spawn(|| Job::new("a").create(&mut database.connect()));
        let waits = "SELECT COUNT(*) FROM pg_locks AS mine JOIN pg_locks AS its USING (pid) \
                     WHERE mine.locktype = 'advisory' AND NOT mine.granted \
                     AND mine.objid = hashtext(current_schema())::bigint::bit(32)::bigint::oid \
                     AND its.locktype = 'advisory' AND its.granted";
        while Postgres::number(conn, waits) == 0 {
            assert!(!creating.is_finished(), "{:?}", creating.join());
            thread::yield_now();
        }
        assert_eq!(Postgres::number(conn, "SELECT COUNT(*) FROM flowstate_flows"), 0);
        conn.batch_execute("SELECT pg_advisory_unlock_all()").expect("let go");
        creating.join().expect("no panic").expect("created");
    });
    check::clean(conn);
}
