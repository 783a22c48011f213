//! Many at the same records.

use std::collections::BTreeMap;

use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Result};

use crate::flows::{Job, JobRecord, JobState};
use crate::race::race;
use crate::{Database, Sqlite, check};

const THREADS: usize = 8;
const TRANSITIONS: usize = 500;
const RECORDS: usize = 5;

/// 32 threads at one record: one wins, the others are told where it is.
pub fn one_of_32_threads_wins<D: Database>() {
    one_wins::<D>(|job, conn| job.transition(Job::WORK, conn).run());
}

/// 32 threads at one record with a guard, which sees it only where the transition may start.
pub fn one_of_32_threads_with_a_guard_wins<D: Database>() {
    one_wins::<D>(|job, conn| {
        job.transition(Job::WORK, conn)
            .guard("it is open", |job, _| {
                assert_eq!(job.state(), JobState::Open);
                true
            })
            .run()
    });
}

fn one_wins<D: Database>(work: impl Fn(&mut JobRecord, &mut D::Conn) -> Result<()> + Sync) {
    let database = D::migrated();
    let id = Job::new("a").create(&mut database.connect()).expect("created").id();
    let outcomes = race(32, |_, barrier| {
        let conn = &mut database.connect();
        let mut job = Job::find(id, conn).expect("found");
        barrier.wait();
        match work(&mut job, conn) {
            Ok(()) => true,
            Err(Error::InvalidTransition { found, .. }) if found == "working" => false,
            Err(other) => panic!("another error: {other:?}"),
        }
    });
    assert_eq!(outcomes.into_iter().filter(|won| *won).count(), 1);
    let conn = &mut database.connect();
    let job = Job::find(id, conn).expect("found");
    assert_eq!((job.state(), job.seq()), (JobState::Working, 1));
    check::clean(conn);
}

/// 8 threads × 500 transitions over 5 records: nothing is lost, doubled or unclassified.
pub fn eight_threads_lose_nothing<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let jobs = Job::create_many((0..RECORDS).map(|_| Job::new("a")), conn).expect("created");
    let ids: Vec<_> = jobs.iter().map(|job| job.id()).collect();
    let done = race(THREADS, |thread, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        let mut done = BTreeMap::<i64, i64>::new();
        let mut left = TRANSITIONS;
        while left > 0 {
            let id = ids[fastrand::usize(..RECORDS)];
            let mut job = match Job::find(id, conn) {
                Ok(job) => job,
                // serializable transactions are in the way of readers too
                Err(Error::Conflict { .. }) if D::FOLDER != Sqlite::FOLDER => continue,
                Err(other) => panic!("another error: {other:?}"),
            };
            // half of them with closures
            let slow = (left + thread).is_multiple_of(2);
            let moved = match (job.state(), slow) {
                (JobState::Working, false) => job.transition(Job::FAIL, conn).run(),
                (JobState::Working, true) => {
                    job.transition(Job::FAIL, conn).guard("it may", |_, _| true).run()
                }
                (_, false) => job.transition(Job::WORK, conn).run(),
                (_, true) => job.transition(Job::WORK, conn).guard("it may", |_, _| true).run(),
            };
            match moved {
                Ok(()) => {
                    left -= 1;
                    *done.entry(id).or_default() += 1;
                }
                Err(Error::InvalidTransition { .. }) => {}
                Err(Error::Conflict { .. }) if D::FOLDER != Sqlite::FOLDER => {}
                Err(other) => panic!("another error: {other:?}"),
            }
        }
        done
    });
    for id in ids {
        let job = Job::find(id, conn).expect("found");
        let moved: i64 = done.iter().filter_map(|done| done.get(&id)).sum();
        assert_eq!(job.seq(), moved, "as many as were told");
    }
    check::clean(conn);
}
