//! S01 to S04: another transaction is in the way.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::sqlite::Customizer;
use flowstate_diesel::{ConflictReason, Error, Purge, transaction};
use flowstate_tests::flows::{Job, JobState, Measure};
use flowstate_tests::statement_probe::Probe;
use flowstate_tests::{Database, RollbackJournal, Sqlite, check, refused};

/// Ours is the second write into a snapshot that is old by now: only the whole can be retried.
#[test]
fn s01_old_snapshot_asks_for_the_whole_transaction() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    let other = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let mut tries = 0;
    let mut moves = |conn: &mut SqliteConnection| {
        conn.transaction(|conn| {
            tries += 1;
            check::rows::<Sqlite>(conn, "flowstate_flows");
            if tries == 1 {
                Job::new("b").create(other)?;
            }
            job.transition(Job::WORK, conn).run()
        })
    };
    let error = moves(conn).expect_err("an old snapshot");
    assert!(error.to_string().contains("retry the whole transaction"), "{error}");
    let (reason, tries) = match error {
        Error::Conflict { reason, tries, whole_transaction: true, .. } => (reason, tries),
        error => panic!("another error: {error:?}"),
    };
    assert_eq!((reason, tries), (ConflictReason::Busy, 1), "and is not retried inside");
    assert_eq!(check::sizes::<Sqlite>(conn), [2, 2, 0]);
    moves(conn).expect("the whole again");
    assert_eq!((job.state(), job.seq()), (JobState::Working, 1));
    check::clean(conn);
}

/// A conflict that the caller ignores: nothing of ours is in what it commits.
#[test]
fn s01_ignored_conflict_commits_nothing_of_ours() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    let other = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    conn.transaction(|conn| {
        check::rows::<Sqlite>(conn, "flowstate_flows");
        Job::new("b").create(other)?;
        refused!(job.transition(Job::WORK, conn).run(), Error::Conflict { .. });
        refused!(job.transition(Job::PARK, conn).run(), Error::Conflict { .. });
        Ok::<_, Error>(())
    })
    .expect("the caller's own commit");
    assert_eq!(check::sizes::<Sqlite>(conn), [2, 2, 0]);
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    job.transition(Job::WORK, conn).run().expect("working");
    check::clean(conn);
}

/// A writer holds the lock for longer than we wait.
#[test]
fn s02_long_writer_is_a_conflict() {
    let database = Sqlite::migrated();
    let conn = &mut database.impatient();
    let writer = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    writer.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    let error = job.transition(Job::WORK, conn).run().expect_err("locked");
    let text = error.to_string();
    for part in ["job #1", "locked by another writer", "tried", "try again later"] {
        assert!(text.contains(part), "{part} in: {text}");
    }
    let waited = refused!(
        Err::<(), _>(error),
        Error::Conflict { whole_transaction: false, reason: ConflictReason::Busy, waited, .. } => waited
    );
    assert!(!waited.is_zero() && text.contains(&format!("{waited:.1?}")), "{waited:?} in: {text}");
    refused!(Job::new("b").create(conn), Error::Conflict { .. });
    writer.batch_execute("COMMIT").expect("released");
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    assert_eq!(check::sizes::<Sqlite>(conn), [1, 1, 0]);
    job.transition(Job::WORK, conn).run().expect("working");
    check::clean(conn);
}

/// The time-out is the one that was set last, whatever was done on the connection before.
#[test]
fn the_busy_timeout_counts_from_when_it_is_set() {
    let database = Sqlite::empty();
    let holder = &mut database.connect();
    let conn = &mut SqliteConnection::establish(&database.url()).expect("a connection");
    flowstate_diesel::migrate(conn).expect("migrated");
    let mut job = Job::new("a").create(conn).expect("created");
    let timeout = Duration::from_millis(100);
    Customizer::new().busy_timeout(timeout).apply(conn).expect("the pragmas");
    let refused = transaction(holder, |_| {
        let other = || job.transition(Job::WORK, conn).run();
        Ok::<_, Error>(thread::scope(|scope| scope.spawn(other).join().expect("no panic")))
    });
    let (tries, waited) = refused!(
        refused.expect("committed"),
        Error::Conflict { tries, waited, .. } => (tries, waited)
    );
    assert!(waited >= timeout * tries, "{tries} tries in {waited:?}: it did not wait");
}

/// With a rollback journal a reader keeps us from committing: a conflict, and nothing unknown.
/// Then 100 transitions on that connection are all durable.
#[test]
fn s03_s04_busy_commit_leaves_the_connection_sound() {
    let database = RollbackJournal::migrated();
    let conn = &mut database.impatient();
    let reader = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    reader.batch_execute("BEGIN").expect("begun");
    assert_eq!(check::sizes::<RollbackJournal>(reader), [1, 1, 0]);
    let hooks = Rc::new(Cell::new(0));
    let count = || {
        let hooks = Rc::clone(&hooks);
        move |_: &_| hooks.set(hooks.get() + 1)
    };
    let refused = job.transition(Job::WORK, conn).after_commit(count()).run();
    refused!(
        refused,
        Error::Conflict { whole_transaction: false, reason: ConflictReason::Busy, .. }
    );
    assert_eq!((job.state(), job.seq(), hooks.get()), (JobState::Open, 0, 0));
    reader.batch_execute("ROLLBACK").expect("ended");
    assert_eq!(check::sizes::<RollbackJournal>(reader), [1, 1, 0]);

    for _ in 0..50 {
        job.transition(Job::WORK, conn).after_commit(count()).run().expect("working");
        job.transition(Job::FAIL, conn).run().expect("failed");
    }
    assert_eq!(hooks.get(), 50);
    let found = Job::find(job.id(), &mut database.connect()).expect("found");
    assert_eq!((found.state(), found.seq()), (JobState::Broken, 100));
    check::clean(&mut database.connect());
}

/// A26: whoever migrates a file that another one has for itself just then waits for it, at the question
/// whether the library serves and at the one whether there is anything to do.
#[test]
fn a26_a_writer_in_the_way_is_waited_for() {
    for refused in ["json_each", "sqlite_master"] {
        let database = RollbackJournal::empty();
        let conn = &mut database.impatient();
        let mut other = database.connect();
        if refused == "json_each" {
            other.batch_execute("BEGIN EXCLUSIVE").expect("begun");
        }
        let (other, met) = (Mutex::new(other), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&met);
        let run = move |sql: &str| other.lock().expect("no panic").batch_execute(sql).expect(sql);
        let probe = Probe::new(move |seen| {
            if seen.ends(&[refused]) && counted.fetch_add(1, Ordering::SeqCst) == 0 {
                run("COMMIT");
            } else if seen.ends(&["json_each"]) && refused == "sqlite_master" {
                run("BEGIN EXCLUSIVE");
            }
        });
        probe.over(conn);
        assert_eq!(flowstate_diesel::migrate(conn).expect("waited for").len(), 1);
        assert!(met.load(Ordering::SeqCst) > 1, "{refused}: refused at first");
        Job::new("a").create(conn).expect("created");
    }
}

/// A24: another writer is in the way of all records, and none is to blame: a purge says so, and leaves
/// nothing behind in silence.
#[test]
fn a24_a_purge_says_that_another_writer_is_in_the_way() {
    let database = Sqlite::migrated();
    let conn = &mut database.impatient();
    for _ in 0..3 {
        let mut measure = Measure { values: vec![1.0] }.create(conn).expect("created");
        measure.transition(Measure::END, conn).run().expect("ended");
    }
    let other = &mut database.connect();
    other.batch_execute("BEGIN IMMEDIATE").expect("begun");
    let purge = Purge::older_than(Duration::ZERO).batch(2);
    refused!(purge.run(conn), Error::Conflict { reason: ConflictReason::Busy, .. });
    other.batch_execute("ROLLBACK").expect("rolled back");
    assert_eq!(purge.run(conn).expect("purged"), 3);
    check::clean(conn);
}
