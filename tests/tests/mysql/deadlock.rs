//! M02 and M03: deadlocks, after which the whole transaction is gone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use diesel::connection::{
    AnsiTransactionManager, InstrumentationEvent, SimpleConnection, TransactionManager as _,
};
use diesel::{Connection as _, MysqlConnection};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{ConflictReason, Error, transaction};
use flowstate_tests::flows::{Job, JobRecord, JobState};
use flowstate_tests::race::race;
use flowstate_tests::{Database, check, refused};

use super::Server;

/// Makes the transaction that is open on `conn` the victim of a deadlock: a statement of the
/// caller's own fails, and the database has rolled back everything.
pub(crate) fn deadlock<D: Server>(
    database: &D,
    conn: &mut MysqlConnection,
) -> diesel::QueryResult<()> {
    collide(database, conn, &lock(2), |conn| conn.batch_execute(&lock(2)))
}

fn lock(id: i32) -> String {
    format!("UPDATE locks SET n = n + 1 WHERE id = {id}")
}

/// A deadlock with a statement of choice as the victim, which wants what `theirs` has locked.
fn collide<D: Server, R, E>(
    database: &D,
    conn: &mut MysqlConnection,
    theirs: &str,
    victim: impl FnOnce(&mut MysqlConnection) -> Result<R, E>,
) -> Result<R, E> {
    conn.batch_execute(&lock(1)).expect("locked");
    let (tell, told) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let other = &mut database.connect();
            // the heavier transaction survives
            let weight = vec!["('heavy')"; 300].join(",");
            let work = format!("BEGIN; INSERT INTO weight VALUES {weight}; {theirs}");
            other.batch_execute(&work).expect("locked");
            tell.send(()).expect("told");
            other.batch_execute(&lock(1)).expect("it survives");
            other.batch_execute("ROLLBACK").expect("rolled back");
        });
        told.recv().expect("locked");
        D::wait_for_a_waiter(&mut database.connect());
        let victim = victim(conn);
        // should it survive, the other one may end too
        if victim.is_ok() {
            conn.batch_execute("ROLLBACK").expect("rolled back");
        }
        victim
    })
}

pub(crate) fn with_locks<D: Server>() -> D {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    conn.batch_execute(
        "CREATE TABLE locks (id INT PRIMARY KEY, n INT) ENGINE = InnoDB; \
         INSERT INTO locks VALUES (1, 0), (2, 0); \
         CREATE TABLE weight (name VARCHAR(64)) ENGINE = InnoDB",
    )
    .expect("tables");
    database
}

/// M02: a deadlock at the top level: the whole transaction runs again.
pub(crate) fn m02_deadlock_is_retried<D: Server>() {
    let database = with_locks::<D>();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let mut tries = 0;
    transaction(conn, |conn| {
        tries += 1;
        conn.batch_execute("INSERT INTO effects VALUES ('before')")?;
        job.transition(Job::WORK, conn).run()?;
        if tries == 1 {
            deadlock(&database, conn)?;
        }
        Ok::<_, Error>(())
    })
    .expect("retried");
    assert_eq!((tries, job.seq(), check::rows::<D>(conn, "effects")), (2, 1, 1));
    check::clean(conn);
}

/// M02 with our own statements: two records in opposite orders.
pub(crate) fn m02_deadlock_over_records_is_retried<D: Server>() {
    let database = D::migrated();
    let jobs = [0, 1].map(|_| Job::new("a").create(&mut database.connect()).expect("created"));
    let (locked, tries) = (Barrier::new(2), AtomicU32::new(0));
    let ended = race(2, |number, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        let mut first = true;
        transaction(conn, |conn| {
            tries.fetch_add(1, Ordering::SeqCst);
            jobs[number].clone().transition(Job::ABANDON, conn).run()?;
            if std::mem::take(&mut first) {
                locked.wait();
            }
            jobs[1 - number].clone().transition(Job::ABANDON, conn).run()
        })
    });
    let gone = |ended: &&Result<(), Error>| matches!(ended, Err(Error::NotFound { .. }));
    assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1, "{ended:?}");
    assert_eq!(ended.iter().filter(gone).count(), 1, "{ended:?}");
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    check::clean(&mut database.connect());
}

/// M03: the caller goes on after a deadlock in the caller's own transaction. Nothing is committed,
/// and the end says so.
pub(crate) fn m03_nothing_is_committed_after_a_deadlock<D: Server>() {
    let database = with_locks::<D>();
    let other = &mut database.connect();
    let mut job = Job::new("a").create(other).expect("created");
    let mut second = Job::new("b").create(other).expect("created");
    let go_on = "INSERT INTO effects VALUES ('after')";

    // the trap: in autocommit
    let conn = &mut database.connect();
    let trapped = conn.transaction(|conn| {
        deadlock(&database, conn).expect_err("the victim");
        conn.batch_execute(go_on)?;
        Err::<(), _>(diesel::result::Error::RollbackTransaction)
    });
    trapped.expect_err("rolled back");
    assert_eq!(check::rows::<D>(other, "effects"), 1, "and committed all the same");
    other.batch_execute("DELETE FROM effects").expect("emptied");

    // the deadlock within a transition, or before it
    for within in [true, false] {
        let conn = &mut database.connect();
        let ended = conn.transaction(|conn| {
            conn.batch_execute("INSERT INTO effects VALUES ('before')")?;
            let moved = if within {
                let met = |_: &_, conn: &mut _| Ok(deadlock(&database, conn)?);
                job.transition(Job::WORK, conn).within(met).run()
            } else {
                deadlock(&database, conn).expect_err("the victim");
                job.transition(Job::WORK, conn).run()
            };
            let (reason, whole) = refused!(
                moved,
                Error::Conflict { reason, whole_transaction, .. } => (reason, whole_transaction)
            );
            assert_eq!((reason, whole), (ConflictReason::Deadlock, true));
            conn.batch_execute(go_on).expect_err("refused");
            second.transition(Job::WORK, conn).run().expect_err("refused");
            Ok::<_, Error>(())
        });
        ended.expect_err("not committed");
        assert_eq!(check::rows::<D>(other, "effects"), 0);
    }

    // a transaction of ours can be retried
    for in_savepoint in [true, false] {
        let conn = &mut database.connect();
        let mut tries = 0;
        transaction(conn, |conn| {
            tries += 1;
            conn.batch_execute("INSERT INTO effects VALUES ('before')")?;
            if tries == 1 && in_savepoint {
                let met = conn.transaction(|conn| deadlock(&database, conn));
                met.expect_err("the victim");
            } else if tries == 1 {
                deadlock(&database, conn).expect_err("the victim");
            }
            conn.batch_execute(go_on)?;
            Ok::<_, Error>(())
        })
        .expect("retried");
        assert_eq!((tries, check::rows::<D>(other, "effects")), (2, 2));
        other.batch_execute("DELETE FROM effects").expect("emptied");
        // and autocommit is on again
        conn.batch_execute(go_on).expect("inserted");
        assert_eq!(check::rows::<D>(other, "effects"), 1);
        other.batch_execute("DELETE FROM effects").expect("emptied");
    }
    for job in [&mut job, &mut second] {
        job.reload(other).expect("reloaded");
        assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    }
    check::clean(other);
}

/// M03 where failures cannot be seen, since the connection has instrumentation of its own.
pub(crate) fn m03_an_unseen_deadlock_commits_nothing<D: Server>() {
    let database = with_locks::<D>();
    let other = &mut database.connect();
    let conn = &mut database.connect();
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| ());
    let mut job = Job::new("a").create(other).expect("created");
    let write = |conn: &mut D::Conn, name| {
        conn.batch_execute(&format!("INSERT INTO effects VALUES ('{name}')"))
    };
    let swallow = |conn: &mut D::Conn| {
        write(conn, "before")?;
        deadlock(&database, conn).expect_err("the victim");
        write(conn, "after")
    };
    let ended = transaction(conn, |conn| Ok::<_, Error>(swallow(conn)?));
    let failure = refused!(ended, Error::FailureIgnored { statement_error, .. } => statement_error);
    assert!(failure.contains("deadlock"), "{failure}");
    let within = |_: &_, conn: &mut _| Ok(swallow(conn)?);
    let moved = job.transition(Job::WORK, conn).within(within).run();
    refused!(moved, Error::FailureIgnored { .. });
    assert_eq!(check::rows::<D>(other, "effects"), 0);

    // a statement that commits by itself is noticed too: what follows it is not committed
    let ended = transaction(conn, |conn| {
        write(conn, "before")?;
        conn.batch_execute("CREATE TABLE mine (id INT)")?;
        Ok::<_, Error>(write(conn, "after")?)
    });
    refused!(ended, Error::FailureIgnored { .. });
    assert_eq!(D::text(other, "SELECT name FROM effects").as_deref(), Some("before"));
    transaction(conn, |conn| Ok::<_, Error>(write(conn, "at last")?)).expect("committed");
    assert_eq!(check::rows::<D>(other, "effects"), 2);
    check::clean(other);
}

/// M03: a panic in a savepoint after a deadlock, or a transaction that Diesel has given up: what was
/// written after the database had ended the transaction is not committed by its end.
pub(crate) fn m03_nothing_is_committed_where_a_rollback_fails<D: Server>() {
    let database = with_locks::<D>();
    let other = &mut database.connect();
    let write = "INSERT INTO effects VALUES ('after')";

    let conn = &mut database.connect();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        transaction(conn, |conn| {
            conn.transaction(|conn| {
                deadlock(&database, conn).expect_err("the victim");
                conn.batch_execute(write)?;
                panic!("in a savepoint that is gone");
                #[expect(unreachable_code, reason = "for the types")]
                Ok::<_, Error>(())
            })
        })
    }));
    panicked.expect_err("it panics");
    assert_eq!(check::rows::<D>(other, "effects"), 0);

    let mut conn = database.connect();
    let ended = transaction(&mut conn, |conn| {
        conn.batch_execute(write)?;
        AnsiTransactionManager::transaction_manager_status_mut(conn).set_in_error();
        Ok::<_, Error>(())
    });
    refused!(ended, Error::Database { .. });
    // the connection is of no more use: a pool replaces it
    refused!(transaction(&mut conn, |_| Ok::<_, Error>(())), Error::Database { .. });
    drop(conn);
    // waits for the end of its session
    let rows = D::number(other, "SELECT COUNT(*) FROM effects LOCK IN SHARE MODE");
    assert_eq!(rows, 0);
}

type Read<D> = fn(&JobRecord, &mut <D as Database>::Conn) -> Result<(), Error>;

/// M03: in SERIALIZABLE a read of ours locks, and may be the victim.
pub(crate) fn m03_nothing_is_committed_after_a_read_in_deadlock<D: Server>() {
    let database = with_locks::<D>();
    let other = &mut database.connect();
    let mut job = Job::new("a").create(other).expect("created");
    let id = job.id();
    let theirs = format!("UPDATE flowstate_flows SET attempts = 7 WHERE id = {id}");
    let reads: [Read<D>; 3] = [
        |job, conn| Job::find(job.id(), conn).map(drop),
        |job, conn| job.clone().reload(conn),
        |_, conn| flowstate_diesel::audit(conn).map(drop),
    ];
    for read in reads {
        let conn = &mut database.connect();
        let ended = conn.transaction(|conn| {
            conn.batch_execute("INSERT INTO effects VALUES ('before')")?;
            let read = collide(&database, conn, &theirs, |conn| read(&job, conn));
            let (reason, whole) = refused!(
                read,
                Error::Conflict { reason, whole_transaction, .. } => (reason, whole_transaction)
            );
            assert_eq!((reason, whole), (ConflictReason::Deadlock, true));
            conn.batch_execute("INSERT INTO effects VALUES ('after')").unwrap_or_default();
            Ok::<_, Error>(())
        });
        ended.expect_err("not committed");
        assert_eq!(check::rows::<D>(other, "effects"), 0);
    }
    job.reload(other).expect("reloaded");
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    check::clean(other);
}

/// M03: a deadlock in a savepoint of the caller's, in the caller's own transaction.
pub(crate) fn m03_nothing_is_committed_after_a_deadlock_in_a_savepoint<D: Server>() {
    let database = with_locks::<D>();
    let other = &mut database.connect();
    let mut job = Job::new("a").create(other).expect("created");
    let go_on = "INSERT INTO effects VALUES ('after')";
    for within in [true, false] {
        let conn = &mut database.connect();
        let ended = conn.transaction(|conn| {
            conn.batch_execute("INSERT INTO effects VALUES ('before')")?;
            let met = conn.transaction(|conn| {
                if within {
                    let met = |_: &_, conn: &mut _| Ok(deadlock(&database, conn)?);
                    job.transition(Job::WORK, conn).within(met).run()
                } else {
                    deadlock(&database, conn).map_err(Error::from)
                }
            });
            met.expect_err("the victim");
            job.transition(Job::WORK, conn).run().expect_err("refused");
            conn.batch_execute(go_on).expect_err("refused");
            Ok::<_, Error>(())
        });
        ended.expect_err("not committed");
        assert_eq!(check::rows::<D>(other, "effects"), 0);
    }
    job.reload(other).expect("reloaded");
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    check::clean(other);
}
