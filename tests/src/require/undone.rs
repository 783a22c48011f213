//! What is rolled back leaves nothing behind.

use std::cell::Cell;
use std::rc::Rc;

use diesel::Connection;
use diesel::connection::{SimpleConnection, TransactionManager};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, Error, transaction};
use serde_json::json;

use crate::flows::{Job, JobState, Note};
use crate::{Database, check, refused};

/// A04: a failed statement whose error is swallowed lets nothing be committed.
pub fn a04_ignored_failure_commits_nothing<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let mut job = Job::new("a").create(conn).expect("created");
    let before = check::sizes::<D>(conn);
    let ignored = job
        .transition(Job::WORK, conn)
        .within(|_, conn| {
            conn.batch_execute("INSERT INTO effects VALUES ('a')")?;
            let _ = conn.batch_execute("INSERT INTO no_such_table VALUES ('a')");
            Ok(())
        })
        .run();
    let statement_error = refused!(
        ignored,
        Error::FailureIgnored { statement_error, .. } => statement_error
    );
    assert!(statement_error.contains("no_such_table"), "{statement_error}");
    assert_eq!(job.state(), JobState::Open);
    assert_eq!(check::sizes::<D>(conn), before);
    assert_eq!(check::rows::<D>(conn, "effects"), 0);

    let ignored = transaction(conn, |conn| {
        conn.batch_execute("INSERT INTO effects VALUES ('b')")?;
        let _ = conn.batch_execute("INSERT INTO no_such_table VALUES ('b')");
        job.transition(Job::WORK, conn).run().or(Ok::<_, Error>(()))
    });
    refused!(ignored, Error::FailureIgnored { .. });
    assert_eq!(job.state(), JobState::Open);
    assert_eq!(check::rows::<D>(conn, "effects"), 0);
    check::clean(conn);
}

/// What may fail belongs into a savepoint, and then it may be ignored.
pub fn a_failure_in_a_savepoint_may_be_ignored<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn)
        .within(|_, conn| {
            let _ = conn.transaction(|conn| {
                conn.batch_execute("INSERT INTO effects VALUES ('undone')")?;
                conn.batch_execute("INSERT INTO no_such_table VALUES ('a')")
            });
            Ok(conn.batch_execute("INSERT INTO effects VALUES ('kept')")?)
        })
        .run()
        .expect("working");
    assert_eq!(D::text(conn, "SELECT name FROM effects").as_deref(), Some("kept"));
    check::clean(conn);
}

/// A05: an error in the caller's transaction leaves record, history and artefact as before, and
/// runs no hook.
pub fn a05_error_undoes_the_whole_transaction<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    let before = check::sizes::<D>(conn);
    let hooks = Rc::new(Cell::new(0));
    let failed = transaction(conn, |conn| {
        let hooks = Rc::clone(&hooks);
        job.transition(Job::NOTE, conn)
            .persist(Note(json!(1)))
            .update(|job| "lie".clone_into(&mut job.name))
            .after_commit(move |_| hooks.set(hooks.get() + 1))
            .run()?;
        assert_eq!((job.state(), job.seq(), &*job.name), (JobState::Half, 2, "lie"));
        job.transition(Job::FINISH, conn).run()?;
        assert_eq!((job.state(), job.seq()), (JobState::Done, 3));
        Err::<(), _>(BoxError::from("changed my mind").into())
    });
    let source = refused!(failed, Error::Body { source } => source);
    assert_eq!(source.to_string(), "changed my mind");
    assert_eq!((job.state(), job.seq(), &*job.name), (JobState::Working, 1, "a"));
    assert_eq!(hooks.get(), 0);
    assert_eq!(check::sizes::<D>(conn), before);
    check::clean(conn);
    job.transition(Job::FAIL, conn).run().expect("and on from there");
    check::clean(conn);

    // a transaction of Diesel's own
    let failed = conn.transaction(|conn| {
        job.transition(Job::WORK, conn).run()?;
        Err::<(), _>(Error::from(diesel::result::Error::RollbackTransaction))
    });
    refused!(failed, Error::Database { .. });
    job.reload(conn).expect("reloaded");
    assert_eq!((job.state(), job.seq()), (JobState::Broken, 2));
    check::clean(conn);
}

/// A06: an inner transaction that failed and was ignored leaves only the second transition.
pub fn a06_ignored_inner_transaction_leaves_the_second<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for inner_is_ours in [true, false] {
        let mut first = Job::new("a").create(conn).expect("created");
        let mut second = Job::new("b").create(conn).expect("created");
        let hooks = Rc::new(Cell::new((0, 0)));
        transaction(conn, |conn| {
            let body = |conn: &mut D::Conn| {
                let hooks = Rc::clone(&hooks);
                first
                    .transition(Job::PARK, conn)
                    .after_commit(move |_| hooks.update(|(one, two)| (one + 1, two)))
                    .run()?;
                Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
            };
            let inner =
                if inner_is_ours { transaction(conn, body) } else { conn.transaction(body) };
            refused!(inner, Error::Database { .. });
            if inner_is_ours {
                assert_eq!(first.state(), JobState::Open, "as before, at once");
            }
            let hooks = Rc::clone(&hooks);
            second
                .transition(Job::WORK, conn)
                .after_commit(move |_| hooks.update(|(one, two)| (one, two + 1)))
                .run()?;
            // the same record too: it starts where its row is
            first.transition(Job::WORK, conn).run()
        })
        .expect("committed");
        assert_eq!(hooks.get(), (0, 1), "only the hook of the second");
        for job in [&first, &second] {
            let row = Job::find(job.id(), conn).expect("found");
            assert_eq!((row.state(), row.seq()), (JobState::Working, 1));
            assert_eq!((job.state(), job.seq()), (JobState::Working, 1));
        }
        check::clean(conn);
    }
}

/// A25, the half without a crash: completion that destroys, undone as a whole.
pub fn a25_destroy_is_undone_with_its_transaction<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let mut job = Job::new("a").create(conn).expect("created");
    let before = check::sizes::<D>(conn);
    let failed = job
        .transition(Job::ABANDON, conn)
        .within(|_, conn| {
            conn.batch_execute("INSERT INTO effects VALUES ('a')")?;
            Err::<(), _>("no".into())
        })
        .run();
    refused!(failed, Error::Within { .. });
    let failed = transaction(conn, |conn| {
        job.transition(Job::ABANDON, conn).run()?;
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    refused!(failed, Error::Database { .. });
    assert_eq!((job.state(), check::rows::<D>(conn, "effects")), (JobState::Open, 0));
    assert_eq!(check::sizes::<D>(conn), before);
    job.transition(Job::ABANDON, conn).run().expect("abandoned");
    assert_eq!(check::sizes::<D>(conn), [0, 0, 0]);
}

/// A record created in a transaction that was rolled back never was.
pub fn a_record_of_a_rolled_back_transaction_is_gone<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut ghost = None;
    let failed = transaction(conn, |conn| {
        ghost = Some(Job::new("ghost").create(conn)?);
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    refused!(failed, Error::Database { .. });
    let mut ghost = ghost.expect("created");
    // SQLite gives the same id again
    let other = Job::new("other").create(conn).expect("created");
    refused!(ghost.transition(Job::WORK, conn).run(), Error::NotFound { .. });
    refused!(ghost.reload(conn), Error::NotFound { .. });
    refused!(ghost.destroy(conn), Error::NotFound { .. });
    let other = Job::find(other.id(), conn).expect("untouched");
    assert_eq!((other.state(), &*other.name), (JobState::Open, "other"));
    check::clean(conn);
}

/// A savepoint left open, or the end of a transaction that is ours, is an error and not a commit.
pub fn unbalanced_transactions_are_refused<D: Database>() {
    type Manager<D> = <<D as Database>::Conn as Connection>::TransactionManager;
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let left_open = job
        .transition(Job::WORK, conn)
        .within(|_, conn| Ok(Manager::<D>::begin_transaction(conn)?));
    refused!(left_open.run(), Error::UnbalancedTransaction);
    let ended = transaction(conn, |conn| {
        job.transition(Job::WORK, conn).run()?;
        Manager::<D>::rollback_transaction(conn).map_err(Error::from)
    });
    refused!(ended, Error::UnbalancedTransaction);
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    job.transition(Job::WORK, conn).run().expect("working");
    assert_eq!(Job::find(job.id(), conn).expect("found").seq(), 1);
    check::clean(conn);
}
