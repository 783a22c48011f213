//! What a transaction sees of others: P02 to P04, and trap 2.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex};
use std::thread;

use diesel::connection::InstrumentationEvent;
use diesel::{Connection as _, PgConnection};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{ConflictReason, Error, transaction};
use flowstate_tests::flows::{Job, JobRecord, JobState, Note};
use flowstate_tests::race::race;
use flowstate_tests::{Isolation, check, refused};
use serde_json::json;

use super::Server;

fn half(name: &str, conn: &mut PgConnection) -> JobRecord {
    let mut job = Job::new(name).create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    job.transition(Job::NOTE, conn).persist(Note(json!(name))).run().expect("noted");
    job
}

/// The sessions are at the level that the tests speak of, the server's default too.
pub(crate) fn sessions_are_at_the_level<D: Server>() {
    let conn = &mut D::migrated().connect();
    let level = D::text(conn, "SELECT current_setting('transaction_isolation')");
    assert_eq!(level.expect("a level").to_uppercase(), D::ISOLATION.sql());
}

/// Trap 2: a statement that waited for a lock sees the new row, but other tables as they were.
pub(crate) fn what_is_loaded_after_a_wait_is_the_newest<D: Server>() {
    let database = D::migrated();
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
            D::wait_for_a_waiter(conn);
            Ok::<_, Error>(())
        })
        .expect("noted");
        assert_eq!(reader.join().expect("no panic"), Note(json!("new")));
    });
    check::clean(conn);
}

/// P02: a transition is held against what the locking read gives, not what was read before. Above
/// READ COMMITTED the database refuses to lock it, and the whole transaction runs again.
pub(crate) fn p02_only_the_locking_read_counts<D: Server>() {
    let database = D::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.connect());
    let mut job = Job::new("a").create(conn).expect("created");
    let mut tries = 0;
    let refused = transaction(conn, |conn| {
        tries += 1;
        let mut read = Job::find(job.id(), conn)?;
        if tries == 1 {
            job.transition(Job::WORK, other).run()?;
            assert_eq!(read.state(), JobState::Open);
        }
        read.transition(Job::PARK, conn).run()
    });
    let found = refused!(refused, Error::InvalidTransition { found, .. } => found);
    let expected = if D::ISOLATION == Isolation::ReadCommitted { 1 } else { 2 };
    assert_eq!((&*found, tries), ("working", expected));
    check::clean(conn);
}

/// P03: an old snapshot cannot be helped from inside the caller's own transaction.
pub(crate) fn p03_old_snapshot_wants_the_whole_transaction<D: Server>() {
    let database = D::migrated();
    let (conn, other) = (&mut database.connect(), &mut database.connect());
    let mut job = Job::new("a").create(conn).expect("created");
    let ended = conn.transaction(|conn| {
        let mut read = Job::find(job.id(), conn)?;
        job.transition(Job::WORK, other).run()?;
        read.transition(Job::PARK, conn).run()
    });
    if D::ISOLATION == Isolation::ReadCommitted {
        refused!(ended, Error::InvalidTransition { .. });
    } else {
        let told = refused!(
            ended,
            Error::Conflict { reason, whole_transaction, tries, .. } =>
                (reason, whole_transaction, tries)
        );
        assert_eq!(told, (ConflictReason::Serialization, true, 1));
    }
    check::clean(conn);
}

/// P04: write skew is noticed at COMMIT, which is a conflict and not an unknown outcome. Below
/// SERIALIZABLE nobody notices it.
pub(crate) fn p04_write_skew_is_retried<D: Server>() {
    let database = D::migrated();
    let jobs = [0, 1].map(|_| Job::new("a").create(&mut database.connect()).expect("created"));
    let ids = jobs.map(|job| job.id());
    let (read, written, tries) = (Barrier::new(2), Barrier::new(2), AtomicU32::new(0));
    let failed = Mutex::new(Vec::new());
    let moved = race(2, |number, barrier| {
        let conn = &mut database.connect();
        let (tell, told) = channel();
        flowstate_diesel::instrument(conn, move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::FinishQuery { query, error: Some(_), .. } = event {
                tell.send(query.to_string()).expect("told");
            }
        });
        barrier.wait();
        let mut first = true;
        let moved = transaction(conn, |conn| {
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
        });
        failed.lock().expect("no panic").extend(told.try_iter());
        moved.expect("retried")
    });
    let moved = moved.into_iter().filter(|moved| *moved).count();
    let (tries, failed) = (tries.into_inner(), failed.into_inner().expect("no panic"));
    if D::ISOLATION == Isolation::Serializable {
        assert_eq!(moved, 1, "one at a time");
        assert!(tries > 2, "{tries}");
        assert!(failed.first().is_some_and(|first| first.starts_with("COMMIT")), "{failed:?}");
    } else {
        assert_eq!((moved, tries), (2, 2));
        assert!(failed.is_empty(), "{failed:?}");
    }
    check::clean(&mut database.connect());
}
