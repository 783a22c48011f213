//! A24: deleting what is done, while flows finish, fail and resume.

use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Purge, Result, transaction};
use serde_json::json;

use crate::flows::{Job, JobRecord, JobState, Measure, Note};
use crate::gate::Gate;
use crate::race::race;
use crate::{Database, check};

/// So many threads make records and finish them, and as many purge.
const THREADS: usize = 3;
const RECORDS: usize = 20;

/// A move until nobody is in the way.
fn moved(mut act: impl FnMut() -> Result<()>) {
    loop {
        match act() {
            Err(Error::Conflict { .. }) => {}
            other => return other.expect("its record is there until it is finished"),
        }
    }
}

/// Through an error state and back.
fn to_half<D: Database>(job: &mut JobRecord, conn: &mut D::Conn) {
    moved(|| job.transition(Job::WORK, conn).run());
    moved(|| job.transition(Job::FAIL, conn).run());
    moved(|| job.transition(Job::WORK, conn).run());
    moved(|| job.transition(Job::NOTE, conn).persist(Note(json!("note"))).run());
}

/// A24: while flows finish and fail, only what is finished goes, each once and with its children.
pub fn a24_only_what_is_finished_is_purged<D: Database>() {
    let database = D::migrated();
    let purged = race(2 * THREADS, |number, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        let mut purged = 0;
        for round in 0..RECORDS {
            if number < THREADS {
                let mut made = None;
                moved(|| {
                    made = Some(Job::new("a").create(conn)?);
                    Ok(())
                });
                let mut job = made.expect("created");
                to_half::<D>(&mut job, conn);
                // the last one is left half-way
                if round + 1 < RECORDS {
                    moved(|| job.transition(Job::FINISH, conn).run());
                }
            } else {
                moved(|| {
                    purged += Purge::older_than(Duration::ZERO).batch(3).run(conn)?;
                    Ok(())
                });
            }
        }
        purged
    });
    let conn = &mut database.connect();
    let last = Purge::older_than(Duration::ZERO).run(conn).expect("purged");
    // a batch that was deleted before a conflict is not told
    let told = purged.into_iter().sum::<u64>() + last;
    assert!(told <= (THREADS * (RECORDS - 1)) as u64, "{told}");
    let left = i64::try_from(THREADS).expect("few");
    assert_eq!(check::sizes::<D>(conn), [left, 5 * left, left]);
    let half = Job::list([JobState::Half], flowstate_diesel::Page::first(100), conn);
    assert_eq!(half.expect("listed").len(), THREADS);
    check::clean(conn);
}

/// A24: a record that a newer program resumes, while the purge has chosen it already, stays.
pub fn a24_what_is_resumed_stays<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    to_half::<D>(&mut job, conn);
    job.transition(Job::FINISH, conn).run().expect("finished");
    let id = job.id();
    let resume = format!(
        "UPDATE flowstate_flows SET state = 'half', seq = 6, completed_at = NULL WHERE id = {id}; \
         INSERT INTO flowstate_transitions SELECT flow_id, 6, 'resume', 'done', 'half', attempt, \
         error, actor, metadata, token, created_at FROM flowstate_transitions \
         WHERE flow_id = {id} AND seq = 0"
    );
    let ended = Gate::new();
    let purged = thread::scope(|scope| {
        let mut purge = None;
        let mut purging = Some(database.connect());
        transaction(conn, |conn| {
            conn.batch_execute(&resume)?;
            // one try: nobody is in the way of it
            let (mut purging, ended) = (purging.take().expect("one try"), &*ended);
            purge = Some(scope.spawn(move || {
                let purged = Purge::older_than(Duration::ZERO).run(&mut purging);
                ended.note();
                purged
            }));
            ended.wait_for_one(|| D::waiting_writers(conn) > 0);
            Ok::<_, Error>(())
        })
        .expect("resumed");
        purge.expect("started").join().expect("no panic")
    });
    assert_eq!(purged.expect("purged"), 0);
    assert_eq!(Job::find(id, conn).expect("found").state(), JobState::Half);
    check::clean(conn);
}

/// A24: by flow and by age, and as a part of the caller's transaction.
pub fn a24_a_purge_takes_what_it_is_told<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for key in ["old", "new"] {
        let measure = Measure { values: vec![1.0] }.create_once(key, conn).expect("created");
        measure.into_record().transition(Measure::END, conn).run().expect("ended");
    }
    let mut job = Job::new("a").create(conn).expect("created");
    to_half::<D>(&mut job, conn);
    job.transition(Job::FINISH, conn).run().expect("finished");
    let past =
        "UPDATE flowstate_flows SET completed_at = '2001-01-01 00:00:00.000000' WHERE id = 1";
    conn.batch_execute(past).expect("long ago");

    let (day, ages) = (Duration::from_hours(24), Duration::MAX);
    assert_eq!(Purge::older_than(ages).run(conn).expect("purged"), 0);
    assert_eq!(Purge::older_than(day).of::<Job>().run(conn).expect("purged"), 0);
    assert_eq!(Purge::older_than(day).run(conn).expect("purged"), 1);
    assert!(Measure::find_by_key("old", conn).expect("searched").is_none());

    let now = Purge::older_than(Duration::ZERO).of::<Measure>();
    let undone = transaction(conn, |conn| {
        assert_eq!(now.run(conn)?, 1);
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    undone.expect_err("rolled back");
    assert!(Measure::find_by_key("new", conn).expect("searched").is_some());
    assert_eq!(now.run(conn).expect("purged"), 1);
    assert_eq!(check::sizes::<D>(conn), [1, 6, 1]);
    check::clean(conn);
}
