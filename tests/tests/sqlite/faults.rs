//! S06 to S08 and A12: settings, memory, and disks that fail.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, HandleError, Pool};
use flowstate_diesel::prelude::*;
use flowstate_diesel::sqlite::Customizer;
use flowstate_diesel::{Error, Purge, transaction};
use flowstate_tests::child::{self, Running};
use flowstate_tests::flows::{Job, JobState, Measure, Note};
use flowstate_tests::{Database, RollbackJournal, Sqlite, check, refused};
use serde_json::json;

#[test]
fn s06_foreign_keys_are_on_everywhere() {
    let database = Sqlite::migrated();
    let pool = database.pool(3);
    let mut conns: Vec<_> = (0..3).map(|_| pool.get().expect("a connection")).collect();
    for conn in &mut conns {
        assert_eq!(Sqlite::number(conn, "PRAGMA foreign_keys"), 1);
    }
    let conn = &mut *conns[0];
    conn.batch_execute("PRAGMA foreign_keys = OFF").expect("off");
    Customizer::new().apply(conn).expect("applied");
    assert_eq!(Sqlite::number(conn, "PRAGMA foreign_keys"), 1);
    let orphan = conn.batch_execute(
        "INSERT INTO flowstate_artefacts (flow_id, name, seq, payload) VALUES (1, 'a', 0, '1')",
    );
    assert!(orphan.expect_err("no flow").to_string().contains("FOREIGN KEY"));

    // in a transaction the pragma does nothing
    conn.batch_execute("PRAGMA foreign_keys = OFF; BEGIN").expect("off");
    assert!(Customizer::new().apply(conn).is_err());
    conn.batch_execute("ROLLBACK").expect("ended");
}

#[test]
fn s07_memory_belongs_to_one_connection() {
    let pool = |size| {
        Pool::builder()
            .max_size(size)
            .connection_timeout(Duration::from_millis(500))
            .connection_customizer(Box::new(Customizer::new()))
            .build(ConnectionManager::<SqliteConnection>::new(":memory:"))
    };
    let refused = pool(2).expect_err("two databases").to_string();
    assert!(refused.contains("max_size(1)"), "{refused}");
    let conn = &mut pool(1).expect("one database").get().expect("a connection");
    flowstate_diesel::migrate(conn).expect("migrated");
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    check::clean(conn);
}

/// Fills the disk in the middle of a transaction.
fn full<D: Database<Conn = SqliteConnection>>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    let before = check::sizes::<D>(conn);
    let pages = D::number(conn, "PRAGMA page_count");
    D::number(conn, &format!("PRAGMA max_page_count = {pages}"));
    let large = || Note(json!("x".repeat(1_000_000)));
    for _ in 0..3 {
        let (record, source) = refused!(
            job.transition(Job::NOTE, conn).persist(large()).run(),
            Error::Database { record, source } => (record, source)
        );
        assert_eq!(record.and_then(|record| record.id), Some(job.id()));
        assert!(source.to_string().contains("full"), "{source}");
        assert_eq!((job.state(), job.seq()), (JobState::Working, 1));
    }
    assert_eq!(check::sizes::<D>(conn), before);
    job.transition(Job::FAIL, conn).run().expect("a small one still fits");
    D::number(conn, "PRAGMA max_page_count = 1000000");
    job.transition(Job::WORK, conn).run().expect("working");
    job.transition(Job::NOTE, conn).persist(large()).run().expect("and there is room again");
    check::clean(conn);
}

#[test]
fn s08_full_disk_is_a_typed_error() {
    full::<Sqlite>();
    full::<RollbackJournal>();
}

/// A12: COMMIT fails with an I/O error, here because the file may not grow. Whether it was
/// committed is unknown, and is found out on a new connection.
fn unknown<D: Database>() {
    let database = D::migrated();
    let id = Job::new("a").create(&mut database.connect()).expect("created").id();
    let inner = child::command::<D>(&format!("a12 {id}"), &database.url());
    let mut command = Command::new("bash");
    // SIGXFSZ ignored, a write beyond the limit fails
    command.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = Running::start(command).end();
    assert!(ended.status.success(), "{ended:?}");
    let moved: i64 = ended.said[0].parse().expect("a number");
    let conn = &mut database.connect();
    let job = Job::find(id, conn).expect("found");
    assert_eq!(job.seq(), moved, "what was told to be committed, and no more");
    check::clean(conn);
}

#[test]
fn a12_unknown_outcome_is_resolved() {
    unknown::<Sqlite>();
    unknown::<RollbackJournal>();
}

/// The child of the former: moves the record until the disk fails.
fn unknown_in_child<D: Database>(id: i64, url: &str) {
    let conn = &mut D::connect_to(url);
    let mut job = Job::find(id, conn).expect("found");
    job.transition(Job::WORK, conn).run().expect("working");
    let mut other = Job::new("b").create(conn).expect("created");
    let error = (0..1_000)
        .find_map(|_| {
            let note = || Note(json!("x".repeat(10_000)));
            let moved = transaction(conn, |conn| {
                job.transition(Job::NOTE, conn).persist(note()).run()?;
                // undone, and so no witness of what became of the whole
                let undone = conn.transaction(|conn| {
                    other.transition(Job::WORK, conn).run()?;
                    Err::<(), _>(Error::from(diesel::result::Error::RollbackTransaction))
                });
                refused!(undone, Error::Database { .. });
                Ok(())
            });
            moved.err()
        })
        .expect("the limit");
    let unconfirmed = match error {
        Error::OutcomeUnknown(unconfirmed) => unconfirmed,
        error => panic!("another error: {error:?}"),
    };
    assert_eq!(unconfirmed.record().and_then(|record| record.id), Some(id));
    assert!(unconfirmed.cause().to_string().contains("I/O"), "{}", unconfirmed.cause());
    let seq = job.seq();
    let conn = &mut D::connect_to(url);
    assert_eq!(unconfirmed.resolve(conn).expect("resolved"), Some(false));
    let found = Job::find(id, conn).expect("found");
    assert_eq!((found.state(), found.seq()), (job.state(), seq), "as before");
    child::say(&seq.to_string());
}

/// Does the job of a child, if it is one of this file.
pub(crate) fn child() -> bool {
    fn run<D: Database>() -> bool {
        let Some(job) = child::job::<D>() else { return false };
        let ["a12", id] = &*job.words.iter().map(String::as_str).collect::<Vec<_>>() else {
            return false;
        };
        unknown_in_child::<D>(id.parse().expect("an id"), &job.url);
        true
    }
    run::<Sqlite>() || run::<RollbackJournal>()
}

/// A trigger that skips a deletion in silence leaves the record whole: `destroy` says so, and a purge
/// passes over it.
#[test]
fn a_deletion_that_a_trigger_skips_is_told() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    let mut measure = Measure { values: Vec::new() }.create(conn).expect("created");
    measure.transition(Measure::END, conn).run().expect("ended");
    let skip = "CREATE TRIGGER skip BEFORE DELETE ON flowstate_flows \
                BEGIN SELECT RAISE(IGNORE); END";
    conn.batch_execute(skip).expect("a trigger");
    refused!(measure.destroy(conn), Error::WriteSkipped { .. });
    assert_eq!(Purge::older_than(Duration::ZERO).run(conn).expect("purged"), 0);
    check::clean(conn);
    assert_eq!(check::sizes::<Sqlite>(conn), [1, 2, 0]);
}

/// The connections of a pool on a fresh file are opened at the same time: none fails, and the pool
/// need not try again.
#[test]
fn a_pool_on_a_fresh_file_opens_at_once() {
    #[derive(Clone, Debug, Default)]
    struct Errors(Arc<Mutex<Vec<String>>>);

    impl HandleError<diesel::r2d2::Error> for Errors {
        fn handle_error(&self, error: diesel::r2d2::Error) {
            self.0.lock().expect("no panic").push(error.to_string());
        }
    }

    let errors = Errors::default();
    for _ in 0..10 {
        let database = Sqlite::empty();
        let pool = Pool::builder()
            .max_size(8)
            .connection_customizer(Box::new(Customizer::new()))
            .error_handler(Box::new(errors.clone()))
            .build(ConnectionManager::<SqliteConnection>::new(database.url()));
        assert_eq!(pool.expect("a pool").state().connections, 8);
    }
    assert_eq!(*errors.0.lock().expect("no panic"), [] as [String; 0]);
}

/// A time-out that is too long for SQLite is the longest there is, and the shortest is one.
#[test]
fn s02_a_long_busy_timeout_is_none_too_short() {
    let database = Sqlite::migrated();
    let conn = &mut database.connect();
    let hours = Duration::from_hours;
    for (timeout, millis) in [
        (hours(24 * 24), 24 * 24 * 3_600_000),
        (hours(25 * 24), i64::from(i32::MAX)),
        (Duration::MAX, i64::from(i32::MAX)),
        (Duration::from_nanos(1), 1),
        (Duration::ZERO, 0),
    ] {
        Customizer::new().busy_timeout(timeout).apply(conn).expect("applied");
        assert_eq!(Sqlite::number(conn, "PRAGMA busy_timeout"), millis, "{timeout:?}");
        Job::new("a").create(conn).expect("created");
    }
}
