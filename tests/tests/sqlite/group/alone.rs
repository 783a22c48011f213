//! What is written by itself, since nobody else could write just the same.

use std::sync::Arc;
use std::thread;

use diesel::connection::SimpleConnection;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, transaction};
use flowstate_tests::flows::{Job, JobRecord};
use flowstate_tests::gate::Gate;
use flowstate_tests::statement_probe::{Probe, Seen};
use flowstate_tests::{Database, RollbackJournal, Sqlite, check, refused};

use super::meeting::{Meeting, Moves, count, guarded, work};

/// Closures stay alone, whoever runs them.
#[test]
fn closures_of_others_take_nobody_along() {
    let within = |job: &mut JobRecord, conn: &mut SqliteConnection| {
        transaction(conn, |conn| job.transition(Job::WORK, conn).run())
    };
    for lead in [guarded as Moves, within] {
        let mut meeting = Meeting::<Sqlite>::new();
        let mut members = meeting.members(2);
        members[1].2 = lead;
        let met = meeting.run(lead, members);
        assert_eq!(count(&meeting.leader.take(), "UPDATE"), 1, "its own");
        met.leader.1.expect("no panic").expect("working");
        meeting.each_has_moved(&met.others);
        check::clean(&mut meeting.onlooker);
    }
}

/// Connections that would not write the same as each other write by themselves.
#[test]
fn other_settings_are_not_written_along() {
    for settings in [
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA ignore_check_constraints = ON",
        "PRAGMA query_only = OFF; CREATE TEMP TABLE mine (id INTEGER)",
        "ATTACH ':memory:' AS other",
    ] {
        let mut meeting = Meeting::<Sqlite>::new();
        let mut members = meeting.members(2);
        members[0].1.batch_execute(settings).expect(settings);
        let met = meeting.run(work, members);
        met.leader.1.expect("no panic").expect("working");
        assert_eq!(count(&meeting.leader.take(), "UPDATE"), 1, "{settings}");
        meeting.each_has_moved(&met.others);
    }
}

/// What cannot be rolled back for one is written for nobody else.
#[test]
fn without_a_journal_each_writes_alone() {
    let mut meeting = Meeting::<RollbackJournal>::new();
    let mut members = meeting.members(2);
    for (_, conn, _) in &mut members {
        conn.batch_execute("PRAGMA journal_mode = OFF").expect("off");
    }
    let met = meeting.run(work, members);
    assert_eq!(count(&meeting.others.take(), "BEGIN IMMEDIATE"), 2, "each its own");
    meeting.each_has_moved(&met.others);
}

/// What others have done on a connection since it last wrote is asked for anew.
#[test]
fn settings_are_those_of_the_moment() {
    let mut meeting = Meeting::<Sqlite>::new();
    let mut members = meeting.members(1);
    members[0].2 = |job, conn| {
        conn.batch_execute("PRAGMA query_only = ON")?;
        job.transition(Job::WORK, conn).run()
    };
    let met = meeting.run(work, members);
    let (job, moved) = &met.others[0];
    let moved = format!("{:?}", moved.as_ref().expect_err("it may not write"));
    assert!(moved.contains("readonly"), "{moved}");
    assert_eq!(meeting.seq(job), 0);

    let mut members = meeting.members(1);
    members[0].2 = |job, conn| {
        conn.batch_execute("BEGIN")?;
        job.transition(Job::WORK, conn).run()
    };
    let met = meeting.run(work, members);
    let (job, moved) = met.others.into_iter().next().expect("one");
    refused!(moved, Error::TransactionByHand { .. });
    assert_eq!(meeting.seq(&job), 0);
}

/// Who may not write has never written, and nobody writes for it.
#[test]
fn nobody_writes_for_a_connection_that_cannot() {
    let mut meeting = Meeting::<Sqlite>::new();
    let (job, _) = meeting.member();
    let url = format!("file:{}?mode=ro", meeting.database.url());
    let mut conn = SqliteConnection::establish(&url).expect("a connection");
    conn.batch_execute("PRAGMA synchronous = OFF; PRAGMA busy_timeout = 60000").expect("set");
    let reading: JobRecord = Job::find(job.id(), &mut conn).expect("found");
    let (mut leading, mut led) = meeting.member();
    let gate = Gate::new();
    let stop = Arc::clone(&gate);
    let see = move |seen: Seen<'_>| {
        if seen.starts(&["INSERT INTO flowstate_transitions"]) {
            stop.pass();
        }
    };
    Probe::new(see).over(&mut led);
    let moved = thread::scope(|scope| {
        let leader = scope.spawn(move || leading.transition(Job::WORK, &mut led).run());
        gate.wait_for(1);
        let follower = scope.spawn(move || {
            let mut job = reading;
            job.transition(Job::WORK, &mut conn).run()
        });
        let onlooker = &mut meeting.onlooker;
        Gate::new().wait_for_one(|| Sqlite::waiting_writers(onlooker) > 0);
        gate.open();
        leader.join().expect("no panic").expect("working");
        follower.join().expect("no panic")
    });
    let moved = format!("{:?}", moved.expect_err("read-only"));
    assert!(moved.contains("readonly"), "{moved}");
    assert_eq!(meeting.seq(&job), 0);
}

/// A file that takes the place of another is another database, though a copy with the same records.
#[test]
fn a_file_in_the_place_of_another_is_another() {
    let database = RollbackJournal::migrated();
    let (mut job, mut old) = {
        let mut conn = database.connect();
        let job = Job::new("a").create(&mut conn).expect("created");
        (job, conn)
    };
    let (file, copy) = (database.url(), format!("{}.copy", database.url()));
    std::fs::copy(&file, &copy).expect("copied");
    std::fs::rename(&copy, &file).expect("renamed");
    let new = &mut database.connect();
    let moved = transaction(new, |_| {
        let moves = || job.transition(Job::WORK, &mut old).run();
        Ok::<_, Error>(thread::scope(|scope| scope.spawn(moves).join().expect("no panic")))
    });
    let waited = matches!(moved.expect("committed"), Err(Error::Conflict { .. }));
    assert!(!waited, "of the old file nobody holds the turn");
    assert_eq!(Job::find(job.id(), new).expect("found").seq(), 0, "the new file is untouched");
}
