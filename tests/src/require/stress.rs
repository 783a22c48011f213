//! Many at once: nothing is lost, nothing is doubled, every error is one of those foretold.

use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, Result, migrate, transaction};

use crate::flows::{Job, JobRecord, JobState};
use crate::race::race;
use crate::{Database, Sqlite, check, child};

const RECORDS: usize = 5;
const MOVES: usize = 500;

/// The records, made by whoever comes first.
fn records<D: Database>(conn: &mut D::Conn) -> Vec<JobRecord> {
    let create = |number: usize| {
        let key = format!("record {number}");
        Job::new(&key).create_once(&key, conn).expect("created or found").into_record()
    };
    (0..RECORDS).map(create).collect()
}

/// One move of a record from where this copy believes it to be, in one of the possible ways.
fn step<D: Database>(way: usize, job: &mut JobRecord, conn: &mut D::Conn) -> Result<()> {
    let works = job.state() == JobState::Working;
    match (way, works) {
        (0, true) => job.transition(Job::FAIL, conn).run(),
        (0, false) => job.transition(Job::WORK, conn).run(),
        (1, true) => job.transition(Job::FAIL, conn).guard("yes", |_, _| true).run(),
        (1, false) => job.transition(Job::WORK, conn).update(|job| job.payload = 1.into()).run(),
        (_, true) => transaction(conn, |conn| job.transition(Job::FAIL, conn).run()),
        (_, false) => transaction(conn, |conn| job.transition(Job::WORK, conn).run()),
    }
}

/// Moves records at random until so many moves have succeeded.
fn run<D: Database>(mut jobs: Vec<JobRecord>, conn: &mut D::Conn) {
    let mut moved = 0;
    while moved < MOVES {
        let job = &mut jobs[fastrand::usize(..RECORDS)];
        match step::<D>(fastrand::usize(..3), job, conn) {
            Ok(()) => moved += 1,
            // another was quicker, and the copy shows by now where the record is
            Err(Error::InvalidTransition { .. }) => {}
            // SQLite has the others wait for far longer than any of these transactions takes
            Err(Error::Conflict { .. }) if D::FOLDER != Sqlite::FOLDER => {}
            Err(error) => panic!("not foretold: {error:?}"),
        }
    }
}

fn nothing_lost_nothing_doubled<D: Database>(movers: usize, conn: &mut D::Conn) {
    check::clean(conn);
    let moved = i64::try_from(movers * MOVES).expect("few");
    let records = i64::try_from(RECORDS).expect("few");
    assert_eq!(check::sizes::<D>(conn), [records, records + moved, 0]);
}

/// 8 threads of 500 moves over 5 records.
pub fn threads_lose_and_double_nothing<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let jobs = records::<D>(conn);
    race(8, |_, barrier| {
        let conn = &mut database.connect();
        barrier.wait();
        run::<D>(jobs.clone(), conn);
    });
    nothing_lost_nothing_doubled::<D>(8, conn);
}

/// S05: two processes of 500 moves that also make the database.
pub fn s05_processes_lose_and_double_nothing<D: Database>() {
    let database = D::empty();
    let ended = child::run_together::<D>(&["stress"; 2], &database.url());
    assert!(ended.iter().all(|child| child.said == ["moved"]), "{ended:?}");
    nothing_lost_nothing_doubled::<D>(2, &mut database.connect());
}

/// The child of the former.
pub fn stress_in_child<D: Database>(url: &str) {
    child::wait_for_go();
    let conn = &mut D::connect_to(url);
    migrate(conn).expect("migrated");
    let jobs = records::<D>(conn);
    run::<D>(jobs, conn);
    child::say("moved");
}
