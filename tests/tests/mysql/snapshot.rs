//! M01 and M07: what a transaction that has read before sees of what others commit.

use std::thread;

use diesel::sql_types::Text;
use diesel::{MysqlConnection, RunQueryDsl as _, dsl};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{ConflictReason, Error, transaction};
use flowstate_tests::flows::{Job, JobRecord, Note};
use flowstate_tests::{Isolation, check, refused};
use serde_json::json;

use super::Server;

fn half(name: &str, conn: &mut MysqlConnection) -> JobRecord {
    let mut job = Job::new(name).create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    job.transition(Job::NOTE, conn).persist(Note(json!(name))).run().expect("noted");
    job
}

fn variable(conn: &mut MysqlConnection, scope: &str, names: &str) -> Option<String> {
    let asked = format!("SHOW {scope} VARIABLES WHERE Variable_name IN ({names})");
    let shown = dsl::sql::<(Text, Text)>(&asked).load::<(String, String)>(conn);
    shown.expect("shown").into_iter().next().map(|(_, value)| value)
}

/// Whether what has changed since the first read cannot be locked: MariaDB's default from 11.6.2 on.
fn is_strict(conn: &mut MysqlConnection, scope: &str) -> bool {
    variable(conn, scope, "'innodb_snapshot_isolation'").as_deref() == Some("ON")
}

/// M07: the sessions are at the level that the tests speak of, the server's default too.
pub(crate) fn m07_sessions_are_at_the_level<D: Server>() {
    let conn = &mut D::migrated().connect();
    // MariaDB's name, and MySQL's
    let level = variable(conn, "SESSION", "'tx_isolation', 'transaction_isolation'");
    assert_eq!(level.expect("a level").replace('-', " "), D::ISOLATION.sql());
    let is_default = !D::IS_ISOLATED && is_strict(conn, "GLOBAL");
    let is_expected = is_default || D::ISOLATION == Isolation::StrictSnapshot;
    assert_eq!(is_strict(conn, "SESSION"), is_expected);
}

/// Does what another transaction does. In SERIALIZABLE whatever was read is locked: it has to wait.
fn meanwhile<D: Server, R>(did: Result<R, Error>) -> Result<Option<R>, Error> {
    if D::ISOLATION == Isolation::Serializable {
        refused!(did, Error::Conflict { reason: ConflictReason::LockTimeout, .. });
        Ok(None)
    } else {
        did.map(Some)
    }
}

/// M01: only the locking read counts; MariaDB can be told to refuse it instead, and then the whole
/// transaction runs again.
pub(crate) fn m01_only_the_locking_read_counts<D: Server>() {
    let database = D::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.impatient());
    let mut job = half("old", conn);
    let mut tries = 0;
    let loaded = transaction(conn, |conn| {
        tries += 1;
        let mut read = Job::find(job.id(), conn)?;
        if tries == 1 {
            let noted = job.transition(Job::NOTE, other).persist(Note(json!("new"))).run();
            meanwhile::<D, _>(noted)?;
            let seen = Job::find(job.id(), conn)?.seq();
            let newest =
                matches!(D::ISOLATION, Isolation::ReadUncommitted | Isolation::ReadCommitted);
            assert_eq!(seen, if newest { 3 } else { 2 });
        }
        read.transition(Job::READ, conn).run()
    });
    let (note, expected) = match D::ISOLATION {
        Isolation::Serializable => ("old", 1),
        Isolation::RepeatableRead | Isolation::StrictSnapshot if is_strict(conn, "SESSION") => {
            ("new", 2)
        }
        _ => ("new", 1),
    };
    assert_eq!((loaded.expect("read"), tries), (Note(json!(note)), expected));

    job.reload(conn).expect("reloaded");
    let mut finished = false;
    let ended = transaction(conn, |conn| {
        let mut read = Job::find(job.id(), conn)?;
        if !std::mem::replace(&mut finished, true) {
            meanwhile::<D, _>(job.transition(Job::FINISH, other).run())?;
        }
        read.transition(Job::READ, conn).run()
    });
    if D::ISOLATION == Isolation::Serializable {
        ended.expect("nobody came between");
    } else {
        refused!(ended, Error::InvalidTransition { found, .. } => assert_eq!(found, "done"));
    }
    check::clean(conn);
}

/// A keyed start in a transaction that has read before finds the record all the same.
pub(crate) fn m01_a_key_is_found_behind_an_old_snapshot<D: Server>() {
    let database = D::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.impatient());
    let mut made = None;
    let mut first = true;
    let found = transaction(conn, |conn| {
        let found = Job::find_by_key("k", conn)?.map(|job| job.id());
        if std::mem::take(&mut first) {
            assert_eq!(found, None);
            made = meanwhile::<D, _>(Job::new("a").create_once("k", other))?;
        }
        Job::new("a").create_once("k", conn)
    });
    let found = found.expect("found");
    match made {
        Some(made) => {
            assert!(!found.is_created());
            assert_eq!(found.into_record().id(), made.into_record().id());
        }
        None => assert!(found.is_created()),
    }
    check::clean(conn);
}

/// What another transaction wrote and takes back is not given out, though READ UNCOMMITTED shows it.
pub(crate) fn m07_what_is_undone_is_not_loaded<D: Server>() {
    let database = D::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.connect());
    let job = half("old", conn);
    let mut noted = job.clone();
    let mut reading = Some((job, database.connect()));
    let loaded = thread::scope(|scope| {
        let mut reader = None;
        let undone = transaction(other, |other| {
            noted.transition(Job::NOTE, other).persist(Note(json!("undone"))).run()?;
            let (mut job, mut reads) = reading.take().expect("one try");
            let read = move || job.transition(Job::READ, &mut reads).run();
            reader = Some(scope.spawn(read));
            D::wait_for_a_waiter(conn);
            Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
        });
        refused!(undone, Error::Database { .. });
        reader.expect("started").join().expect("no panic")
    });
    assert_eq!(loaded.expect("read"), Note(json!("old")));
    check::clean(conn);
}
