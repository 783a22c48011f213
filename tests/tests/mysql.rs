//! What only MySQL and MariaDB do: the rows M01 to M10 of the failure matrix, and how many statements
//! a call takes.
#![cfg(feature = "mysql")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, MysqlConnection};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, ConflictReason, Error, Step, claim_next, transaction};
use flowstate_tests::flows::{Job, JobRecord, JobState, Note, Response, Sync};
use flowstate_tests::race::race;
use flowstate_tests::require::{crowd, cut};
use flowstate_tests::statements::sent;
use flowstate_tests::{Database, Mysql, check, refused};
use serde_json::json;

#[test]
fn a12_unknown_outcome_is_said_and_resolved() {
    cut::a12_unknown_outcome_is_said_and_resolved::<Mysql>();
}

#[test]
fn a12_what_is_new_or_gone_is_resolved() {
    flowstate_tests::require::cut_create::a12_what_is_new_or_gone_is_resolved::<Mysql>();
}

#[test]
fn one_of_32_threads_wins() {
    crowd::one_of_32_threads_wins::<Mysql>();
}

#[test]
fn eight_threads_lose_nothing() {
    crowd::eight_threads_lose_nothing::<Mysql>();
}

#[test]
fn the_fast_path_is_four_statements() {
    let database = Mysql::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let (texts, moved) = sent(conn, |conn| job.transition(Job::WORK, conn).run());
    moved.expect("working");
    let words: Vec<_> = texts.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(words, ["BEGIN", "UPDATE", "INSERT", "COMMIT"], "{texts:#?}");
    check::clean(conn);
}

fn half(name: &str, conn: &mut MysqlConnection) -> JobRecord {
    let mut job = Job::new(name).create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    job.transition(Job::NOTE, conn).persist(Note(json!(name))).run().expect("noted");
    job
}

/// M01: in REPEATABLE READ only the locking read counts; MariaDB can be told to refuse it instead.
#[test]
fn m01_only_the_locking_read_counts() {
    let database = Mysql::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.connect());
    let mut job = half("old", conn);
    let loaded = transaction(conn, |conn| {
        let mut read = Job::find(job.id(), conn)?;
        job.transition(Job::NOTE, other).persist(Note(json!("new"))).run()?;
        assert_eq!(Job::find(job.id(), conn)?.seq(), 2, "an old snapshot");
        read.transition(Job::READ, conn).run()
    });
    assert_eq!(loaded.expect("read"), Note(json!("new")));
    job.reload(conn).expect("reloaded");
    let refused = transaction(conn, |conn| {
        let mut read = Job::find(job.id(), conn)?;
        job.transition(Job::FINISH, other).run()?;
        read.transition(Job::READ, conn).run()
    });
    refused!(refused, Error::InvalidTransition { found, .. } => assert_eq!(found, "done"));

    if conn.batch_execute("SET innodb_snapshot_isolation = ON").is_ok() {
        let mut job = half("old", other);
        let mut tries = 0;
        let loaded = transaction(conn, |conn| {
            tries += 1;
            let mut read = Job::find(job.id(), conn)?;
            if tries == 1 {
                job.transition(Job::NOTE, other).persist(Note(json!("new"))).run()?;
            }
            read.transition(Job::READ, conn).run()
        });
        assert_eq!((loaded.expect("read"), tries), (Note(json!("new")), 2));
    }
    check::clean(conn);
}

/// A keyed start in a transaction that has read before finds the record all the same.
#[test]
fn m01_a_key_is_found_behind_an_old_snapshot() {
    let database = Mysql::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.connect());
    let found = transaction(conn, |conn| {
        assert_eq!(Job::find_by_key("k", conn)?.map(|job| job.id()), None);
        let made = Job::new("a").create_once("k", other)?.into_record();
        let found = Job::new("a").create_once("k", conn)?;
        Ok::<_, Error>((made.id(), found.is_created(), found.into_record().id()))
    });
    let (made, created, found) = found.expect("found");
    assert_eq!((created, found), (false, made));
    check::clean(conn);
}

/// Makes the transaction that is open on `conn` the victim of a deadlock: a statement of the
/// caller's own fails, and the database has rolled back everything.
fn deadlock(database: &Mysql, conn: &mut MysqlConnection) -> diesel::QueryResult<()> {
    let lock = |id: i32| format!("UPDATE locks SET n = n + 1 WHERE id = {id}");
    conn.batch_execute(&lock(1))?;
    let (tell, told) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let other = &mut database.connect();
            // the heavier transaction survives
            let weight = vec!["('heavy')"; 300].join(",");
            let work = format!("BEGIN; INSERT INTO weight VALUES {weight}; {}", lock(2));
            other.batch_execute(&work).expect("locked");
            tell.send(()).expect("told");
            other.batch_execute(&lock(1)).expect("it survives");
            other.batch_execute("ROLLBACK").expect("rolled back");
        });
        told.recv().expect("locked");
        thread::sleep(Duration::from_millis(300));
        let victim = conn.batch_execute(&lock(2));
        // should it survive, the other one may end too
        if victim.is_ok() {
            conn.batch_execute("ROLLBACK").expect("rolled back");
        }
        victim
    })
}

fn with_locks() -> Mysql {
    let database = Mysql::migrated();
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
#[test]
fn m02_deadlock_is_retried() {
    let database = with_locks();
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
    assert_eq!((tries, job.seq(), check::rows::<Mysql>(conn, "effects")), (2, 1, 1));
    check::clean(conn);
}

/// M02 with our own statements: two records in opposite orders.
#[test]
fn m02_deadlock_over_records_is_retried() {
    let database = Mysql::migrated();
    let ids = [0, 1].map(|_| Job::new("a").create(&mut database.connect()).expect("created").id());
    let (locked, tries) = (Barrier::new(2), AtomicU32::new(0));
    let ended = race(2, |number, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        let mut first = true;
        transaction(conn, |conn| {
            tries.fetch_add(1, Ordering::SeqCst);
            Job::find(ids[number], conn)?.transition(Job::ABANDON, conn).run()?;
            if std::mem::take(&mut first) {
                locked.wait();
            }
            Job::find(ids[1 - number], conn)?.transition(Job::ABANDON, conn).run()
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
#[test]
fn m03_nothing_is_committed_after_a_deadlock() {
    let database = with_locks();
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
    assert_eq!(check::rows::<Mysql>(other, "effects"), 1, "and committed all the same");
    other.batch_execute("DELETE FROM effects").expect("emptied");

    // the deadlock within a transition, or before it
    for within in [true, false] {
        let conn = &mut database.connect();
        let ended = conn.transaction(|conn| {
            conn.batch_execute("INSERT INTO effects VALUES ('before')")?;
            let moved = if within {
                let met = |_: &_, conn: &mut _| deadlock(&database, conn);
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
        assert_eq!(check::rows::<Mysql>(other, "effects"), 0);
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
        assert_eq!((tries, check::rows::<Mysql>(other, "effects")), (2, 2));
        other.batch_execute("DELETE FROM effects").expect("emptied");
        // and autocommit is on again
        conn.batch_execute(go_on).expect("inserted");
        assert_eq!(check::rows::<Mysql>(other, "effects"), 1);
        other.batch_execute("DELETE FROM effects").expect("emptied");
    }
    for job in [&mut job, &mut second] {
        job.reload(other).expect("reloaded");
        assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    }
    check::clean(other);
}

/// M04: a lock wait that took too long undoes its statement only; we undo the rest.
#[test]
fn m04_lock_wait_timeout_is_rolled_back_whole() {
    let database = with_locks();
    let (conn, other) = (&mut database.connect(), &mut database.impatient());
    let mut job = Job::new("a").create(conn).expect("created");
    let mut waiting = Job::find(job.id(), conn).expect("found");
    job.transition(Job::WORK, conn)
        .within(|_, _| {
            let refused = transaction(other, |other| {
                other.batch_execute("INSERT INTO effects VALUES ('a')")?;
                waiting.transition(Job::PARK, other).run()
            });
            let reason = refused!(refused, Error::Conflict { reason, .. } => reason);
            assert_eq!(reason, ConflictReason::LockTimeout);
            Ok::<_, BoxError>(())
        })
        .run()
        .expect("working");
    assert_eq!(check::rows::<Mysql>(conn, "effects"), 0);
    assert_eq!(waiting.state(), JobState::Open);
    check::clean(conn);
}

/// M05: creating and claiming at the same time; locks on gaps lead to no error.
#[test]
fn m05_creating_and_claiming_do_not_collide() {
    let database = Mysql::migrated();
    let claimed = race(6, |number, barrier| {
        let conn = &mut database.connect();
        let step = Step::start(Sync::START_FETCH).finish(Sync::FINISH_FETCH).fail(Sync::FAIL_FETCH);
        barrier.wait();
        let mut claimed = 0;
        for _ in 0..60 {
            if number % 2 == 0 {
                let mut flow = Sync::new("a").create(conn).expect("created");
                flow.transition(Sync::PICK, conn).run().expect("picked");
            } else if let Some(claim) = claim_next(&step, conn).expect("claimed or none") {
                claimed += 1;
                claim.finish(Response(json!(number)), conn).expect("finished");
            }
        }
        claimed
    });
    assert!(claimed.into_iter().sum::<i32>() > 0);
    check::clean(&mut database.connect());
}

/// M05 with keys: the insert comes first, so that none waits for a gap that another one holds.
#[test]
fn m05_starts_with_the_same_keys_do_not_collide() {
    let database = Mysql::migrated();
    let outcomes = race(8, |number, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        let mut made = 0;
        for round in 0..50 {
            let key = format!("{}", round * 2 + number % 2);
            let once = Job::new("a").create_once(&key, conn).expect("created or found");
            made += i32::from(once.is_created());
            Job::new("a").create(conn).expect("created");
        }
        made
    });
    assert_eq!(outcomes.into_iter().sum::<i32>(), 100);
    let conn = &mut database.connect();
    assert_eq!(check::rows::<Mysql>(conn, "flowstate_flows"), 100 + 8 * 50);
    check::clean(conn);
}

/// M08: names and keys are compared byte by byte.
#[test]
fn m08_keys_differ_in_case_accents_and_blanks() {
    let database = Mysql::migrated();
    let conn = &mut database.connect();
    let keys = ["Émile", "emile", "Emile", "a", "A", "a ", "ａ"];
    for (at, key) in keys.into_iter().enumerate() {
        let once = Job::new(&at.to_string()).create_once(key, conn).expect("created");
        assert!(once.is_created(), "{key}");
    }
    for (at, key) in keys.into_iter().enumerate() {
        let found = Job::find_by_key(key, conn).expect("read").expect("found");
        assert_eq!((found.key(), &*found.name), (Some(key), &*at.to_string()));
    }
    let others = "SELECT COUNT(*) FROM information_schema.columns \
                  WHERE table_schema = DATABASE() AND table_name LIKE 'flowstate%' \
                  AND collation_name <> 'utf8mb4_bin'";
    assert_eq!(Mysql::number(conn, others), 0);
}

/// M09: times have microseconds.
#[test]
fn m09_microseconds_are_kept() {
    let database = Mysql::migrated();
    let conn = &mut database.connect();
    let columns = "SELECT COUNT(*) FROM information_schema.columns \
                   WHERE table_schema = DATABASE() AND table_name LIKE 'flowstate%' \
                   AND data_type IN ('datetime', 'timestamp')";
    assert_eq!(Mysql::number(conn, columns), 9);
    let coarse = format!("{columns} AND datetime_precision <> 6");
    assert_eq!(Mysql::number(conn, &coarse), 0);
    let jobs = Job::create_many((0..20).map(|_| Job::new("a")), conn).expect("created");
    let fine = |job: &JobRecord| !job.created_at().timestamp_subsec_micros().is_multiple_of(1_000);
    assert!(jobs.iter().any(fine));
}

/// M10: a migration that died between two of its statements is run again.
#[test]
fn m10_a_migration_that_died_is_run_again() {
    let up = include_str!("../../migrations/mysql/2026-11-23-000000_create_flowstate/up.sql");
    let statements: Vec<_> = up.split_inclusive(";\n").collect();
    assert_eq!(statements.len(), 5);
    for done in 0..statements.len() {
        let database = Mysql::empty();
        let conn = &mut database.connect();
        for statement in &statements[..done] {
            conn.batch_execute(statement).expect(statement);
        }
        let migrated = flowstate_diesel::migrate(conn).expect("run again");
        assert_eq!(migrated.len(), 1, "after {done} statements");
        assert_eq!(flowstate_diesel::migrate(conn).expect("nothing to do").len(), 0);
        Job::new("a").create(conn).expect("created");
        check::clean(conn);
    }
}
