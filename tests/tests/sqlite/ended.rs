//! A04 × S08: failures after which SQLite has ended the whole transaction, and what follows would
//! commit by itself.

use std::cell::Cell;
use std::rc::Rc;

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::{Connection, QueryResult, RunQueryDsl, SqliteConnection, sql_query};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, Error, transaction};
use flowstate_tests::flows::{Job, JobRecord, JobState, Note};
use flowstate_tests::{Database, RollbackJournal, Sqlite, check, refused};
use serde_json::json;

/// Statements that fail and end the transaction, each with a word of its failure.
const ENDING: [(&str, &str); 4] = [
    ("INSERT OR ROLLBACK INTO taken VALUES ('a')", "UNIQUE"),
    ("INSERT INTO taken_or_rollback VALUES ('a')", "UNIQUE"),
    ("INSERT INTO refused VALUES ('a')", "no more of these"),
    ("INSERT INTO large VALUES (zeroblob(10000000))", "full"),
];

fn set_up<D: Database<Conn = SqliteConnection>>(conn: &mut SqliteConnection) -> [JobRecord; 2] {
    check::make_effects(conn);
    conn.batch_execute(
        "CREATE TABLE taken (name TEXT PRIMARY KEY); INSERT INTO taken VALUES ('a');
         CREATE TABLE taken_or_rollback (name TEXT PRIMARY KEY ON CONFLICT ROLLBACK);
         INSERT INTO taken_or_rollback VALUES ('a');
         CREATE TABLE refused (name TEXT);
         CREATE TRIGGER refuse BEFORE INSERT ON refused
         BEGIN SELECT RAISE(ROLLBACK, 'no more of these'); END;
         CREATE TABLE large (bytes BLOB)",
    )
    .expect("tables");
    let jobs = ["a", "b"].map(|name| Job::new(name).create(conn).expect("created"));
    fill::<D>(conn);
    jobs
}

/// Leaves little room on the disk.
fn fill<D: Database>(conn: &mut D::Conn) {
    let pages = D::number(conn, "PRAGMA page_count") + 50;
    D::number(conn, &format!("PRAGMA max_page_count = {pages}"));
}

/// As nothing had been done.
fn untouched<D: Database<Conn = SqliteConnection>>(
    conn: &mut SqliteConnection,
    jobs: [&JobRecord; 2],
) {
    for job in jobs {
        assert_eq!((job.state(), job.seq()), (JobState::Open, 0), "in memory");
        let row = Job::find(job.id(), conn).expect("found");
        assert_eq!((row.state(), row.seq()), (JobState::Open, 0), "the row");
    }
    assert_eq!(check::sizes::<D>(conn), [2, 2, 0]);
    check::clean(conn);
}

/// The failure that a call reports.
fn ignored<R>(result: Result<R, Error>, word: &str) {
    let said = refused!(result, Error::FailureIgnored { statement_error, .. } => statement_error);
    assert!(said.contains(word), "{said}");
}

fn dsl(conn: &mut SqliteConnection, sql: &str) -> QueryResult<usize> {
    sql_query(sql).execute(conn)
}

fn batch(conn: &mut SqliteConnection, sql: &str) -> QueryResult<usize> {
    conn.batch_execute(sql).map(|()| 0)
}

/// How a statement is sent. After one of `batch_execute` Diesel notices what has become of the
/// transaction.
const WAYS: [fn(&mut SqliteConnection, &str) -> QueryResult<usize>; 2] = [dsl, batch];

/// A closure ignores the failure.
fn in_a_closure<D: Database<Conn = SqliteConnection>>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let [mut job, other] = set_up::<D>(conn);
    for send in WAYS {
        for (sql, word) in ENDING {
            let within = job.transition(Job::WORK, conn).within(|_, conn| {
                send(conn, "INSERT INTO effects VALUES ('before')")?;
                let _ = send(conn, sql);
                Ok::<_, BoxError>(())
            });
            ignored(within.run(), word);
            untouched::<D>(conn, [&job, &other]);
            let reached = Cell::new(false);
            let guarded = job
                .transition(Job::WORK, conn)
                .guard("not too many", |_, conn| send(conn, sql).is_err())
                .within(|_, conn| {
                    reached.set(true);
                    Ok(send(conn, "INSERT INTO effects VALUES ('after')")?)
                });
            ignored(guarded.run(), word);
            assert!(!reached.get(), "no further closure runs");
            untouched::<D>(conn, [&job, &other]);
            assert_eq!(check::rows::<D>(conn, "effects"), 0);
        }
    }
    job.transition(Job::WORK, conn).run().expect("the connection is usable");
    check::clean(conn);
}

#[test]
fn a04_s08_a_transaction_that_ended_within_commits_nothing() {
    in_a_closure::<Sqlite>();
    in_a_closure::<RollbackJournal>();
}

/// The closure of a transaction ignores it, and goes on with transitions.
fn in_a_transaction<D: Database<Conn = SqliteConnection>>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let [mut job, mut other] = set_up::<D>(conn);
    for send in WAYS {
        for (sql, word) in ENDING {
            for in_savepoint in [false, true] {
                let hooks = Rc::new(Cell::new(0));
                let done = transaction(conn, |tx| {
                    job.transition(Job::PARK, tx).run()?;
                    let _ = if in_savepoint {
                        tx.transaction(|tx| send(tx, sql))
                    } else {
                        send(tx, sql)
                    };
                    for _ in 0..2 {
                        let hooks = Rc::clone(&hooks);
                        let hook = move |_: &_| hooks.set(hooks.get() + 1);
                        let other = other.transition(Job::WORK, tx);
                        ignored(other.after_commit(hook).run(), word);
                        ignored(Job::new("c").create(tx), word);
                        ignored(transaction(tx, |_| Ok::<_, Error>(())), word);
                    }
                    Ok(())
                });
                ignored(done, word);
                assert_eq!(hooks.get(), 0);
                untouched::<D>(conn, [&job, &other]);
            }
        }
    }
    transaction(conn, |tx| other.transition(Job::WORK, tx).run()).expect("usable");
    check::clean(conn);
}

#[test]
fn a04_s08_nothing_follows_in_a_transaction_that_ended() {
    in_a_transaction::<Sqlite>();
    in_a_transaction::<RollbackJournal>();
}

/// A statement of our own ends the transaction, and its error is ignored.
fn by_a_transition<D: Database<Conn = SqliteConnection>>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let [mut job, mut other] = set_up::<D>(conn);
    job.transition(Job::WORK, conn).run().expect("working");
    let before = check::sizes::<D>(conn);
    let hooks = Rc::new(Cell::new(0));
    let done = transaction(conn, |tx| {
        let note = Note(json!("x".repeat(10_000_000)));
        let full = job.transition(Job::NOTE, tx).persist(note).run();
        let source = refused!(full, Error::Database { source, .. } => source);
        assert!(source.to_string().contains("full"), "{source}");
        let hooks = Rc::clone(&hooks);
        let hook = move |_: &_| hooks.set(hooks.get() + 1);
        other.transition(Job::WORK, tx).after_commit(hook).run().or(Ok::<_, Error>(()))
    });
    ignored(done, "full");
    assert_eq!(hooks.get(), 0);
    assert_eq!((job.state(), other.state()), (JobState::Working, JobState::Open));
    assert_eq!(check::sizes::<D>(conn), before);
    assert_eq!(Job::find(other.id(), conn).expect("found").seq(), 0);
    transaction(conn, |tx| other.transition(Job::WORK, tx).run()).expect("usable");
    check::clean(conn);
}

#[test]
fn a04_s08_nothing_follows_a_full_disk_in_a_transaction() {
    by_a_transition::<Sqlite>();
    by_a_transition::<RollbackJournal>();
}

/// Nothing follows a transaction that SQLite has ended, in one that the caller opened with Diesel.
fn in_a_foreign_transaction<D: Database<Conn = SqliteConnection>>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let [mut job, mut other] = set_up::<D>(conn);
    for (sql, word) in ENDING {
        let done = conn.transaction(|tx| {
            job.transition(Job::PARK, tx).run()?;
            let _ = dsl(tx, sql);
            for _ in 0..2 {
                ignored(other.transition(Job::WORK, tx).run(), word);
                ignored(Job::new("c").create(tx), word);
            }
            Ok::<_, Error>(())
        });
        refused!(done, Error::Database { .. });
        job.reload(conn).expect("reloaded");
        untouched::<D>(conn, [&job, &other]);
    }
    conn.transaction(|tx| other.transition(Job::WORK, tx).run()).expect("usable");
    check::clean(conn);
}

#[test]
fn a04_s08_nothing_joins_a_foreign_transaction_that_ended() {
    in_a_foreign_transaction::<Sqlite>();
    in_a_foreign_transaction::<RollbackJournal>();
}

/// A failure that did not end a transaction of the caller's is the caller's.
#[test]
fn a_foreign_transaction_that_goes_on_is_joined() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    let [mut job, mut other] = set_up::<Sqlite>(conn);
    conn.transaction(|tx| {
        job.transition(Job::PARK, tx).run()?;
        let _ = dsl(tx, "INSERT INTO taken VALUES ('a')");
        dsl(tx, "INSERT INTO taken VALUES ('b')")?;
        other.transition(Job::WORK, tx).run()
    })
    .expect("committed");
    assert_eq!((job.state(), other.state()), (JobState::Parked, JobState::Working));
    assert_eq!(check::rows::<Sqlite>(conn, "taken"), 2);
    check::clean(conn);
}

/// With instrumentation of the caller's own the failure itself is not seen, its effect is.
#[test]
fn a04_s08_nothing_follows_unseen_failures() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| ());
    let [mut job, mut other] = set_up::<Sqlite>(conn);
    for send in WAYS {
        for (sql, _) in ENDING {
            let within = job.transition(Job::WORK, conn).within(|_, conn| {
                let _ = send(conn, sql);
                Ok::<_, BoxError>(())
            });
            within.run().expect_err("ended");
            untouched::<Sqlite>(conn, [&job, &other]);
            let done = transaction(conn, |tx| {
                job.transition(Job::PARK, tx).run()?;
                let _ = send(tx, sql);
                other.transition(Job::WORK, tx).run().expect_err("ended");
                Ok::<_, Error>(())
            });
            done.expect_err("ended");
            untouched::<Sqlite>(conn, [&job, &other]);
        }
    }
    transaction(conn, |tx| other.transition(Job::WORK, tx).run()).expect("usable");
    check::clean(conn);
}
