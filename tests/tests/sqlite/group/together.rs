//! Those who wait are written along, and each is told what became of its own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use diesel::connection::SimpleConnection;
use flowstate_diesel::Error;
use flowstate_diesel::prelude::*;
use flowstate_tests::flows::{Job, JobRecord, JobState};
use flowstate_tests::{Database, RollbackJournal, Sqlite, check, refused};

use super::meeting::{Meeting, count, guarded, is_one_group, work};

fn one_commit<D: Database<Conn = SqliteConnection>>() {
    static HOOKS: AtomicUsize = AtomicUsize::new(0);
    HOOKS.store(0, Ordering::SeqCst);
    let mut meeting = Meeting::<D>::new();
    let mut members = meeting.members(7);
    for (_, _, moves) in &mut members {
        *moves = |job, conn| {
            let caller = thread::current().id();
            job.transition(Job::WORK, conn)
                .actor("me")
                .after_commit(move |job| {
                    assert_eq!((thread::current().id(), job.state()), (caller, JobState::Working));
                    HOOKS.fetch_add(1, Ordering::SeqCst);
                })
                .run()
        };
    }
    let met = meeting.run(work, members);
    met.leader.1.expect("no panic").expect("working");
    assert!(is_one_group(&meeting, 7), "one BEGIN, eight changes, one COMMIT");
    assert_eq!(HOOKS.load(Ordering::SeqCst), 7, "each in its own thread");
    for (job, moved) in met.others {
        moved.expect("working");
        let found = Job::find(job.id(), &mut meeting.onlooker).expect("found");
        assert_eq!((found.state(), found.seq()), (JobState::Working, 1));
        assert_eq!((job.state(), job.seq()), (found.state(), found.seq()));
        assert_eq!((job.updated_at(), job.due_at()), (found.updated_at(), found.due_at()));
        let history = job.history(&mut meeting.onlooker).expect("the history");
        assert_eq!(history[1].actor.as_deref(), Some("me"));
    }
    check::clean(&mut meeting.onlooker);
}

#[test]
fn transitions_that_wait_cost_one_commit() {
    one_commit::<Sqlite>();
    one_commit::<RollbackJournal>();
}

#[test]
fn a_creation_takes_others_along() {
    let mut meeting = Meeting::<Sqlite>::new();
    let members = meeting.members(3);
    let met = meeting.run(|_, conn| Job::new("new").create(conn).map(drop), members);
    met.leader.1.expect("no panic").expect("created");
    meeting.each_has_moved(&met.others);
    assert_eq!(count(&meeting.others.take(), "BEGIN"), 0);
}

/// A record that is created instead of the one that the member has.
fn create(job: &mut JobRecord, conn: &mut SqliteConnection) -> flowstate_diesel::Result<()> {
    *job = Job::new("new").create(conn)?;
    Ok(())
}

#[test]
fn creations_that_wait_are_taken_along() {
    let mut meeting = Meeting::<Sqlite>::new();
    let mut members = meeting.members(6);
    for (_, _, moves) in members.iter_mut().step_by(2) {
        *moves = create;
    }
    let met = meeting.run(create, members);
    met.leader.1.expect("no panic").expect("created");
    let leader = meeting.leader.take();
    let words = ["BEGIN IMMEDIATE", "INSERT INTO flowstate_flows", "UPDATE", "COMMIT"];
    assert_eq!(words.map(|words| count(&leader, words)), [1, 4, 3, 1]);
    assert_eq!(count(&meeting.others.take(), "BEGIN"), 0);
    let mut ids = BTreeSet::from([met.leader.0.id()]);
    for (member, (job, moved)) in met.others.into_iter().enumerate() {
        moved.expect("written");
        let found = Job::find(job.id(), &mut meeting.onlooker).expect("found");
        let (state, seq) =
            if member % 2 == 0 { (JobState::Open, 0) } else { (JobState::Working, 1) };
        assert_eq!((found.state(), found.seq()), (state, seq));
        assert_eq!((job.state(), job.seq()), (state, seq));
        assert_eq!((job.created_at(), job.due_at()), (found.created_at(), found.due_at()));
        let history = job.history(&mut meeting.onlooker).expect("the history");
        assert_eq!((history.len(), &*history[0].transition), (1 + member % 2, "flow.create"));
        ids.insert(job.id());
    }
    assert_eq!(ids.len(), 7, "each its own");
    check::clean(&mut meeting.onlooker);
}

/// Who waits first is written first, and nobody passes before one who writes by itself.
#[test]
fn the_order_is_that_of_the_queue() {
    let mut meeting = Meeting::<Sqlite>::new();
    let mut members = meeting.members(4);
    members[2].2 = guarded;
    let met = meeting.run(work, members);
    let leader = meeting.leader.take();
    let at = |job: &JobRecord| {
        let binds = format!(", {}, 0, \"job\"", job.id());
        leader.iter().position(|text| text.starts_with("UPDATE") && text.contains(&binds))
    };
    let [first, second, alone, last] = [0, 1, 2, 3].map(|member| at(&met.others[member].0));
    assert!(first.is_some() && first < second, "{leader:#?}");
    assert_eq!((alone, last), (None, None), "{leader:#?}");
    meeting.each_has_moved(&met.others);
    check::clean(&mut meeting.onlooker);
}

/// One whose record has moved on is told so; the others are written.
#[test]
fn a_member_in_conflict_fails_alone() {
    let mut meeting = Meeting::<Sqlite>::new();
    let members = meeting.members(3);
    let mut stale = members[1].0.clone();
    stale.transition(Job::WORK, &mut meeting.onlooker).run().expect("working");
    let met = meeting.run(work, members);
    met.leader.1.expect("no panic").expect("working");
    let seqs: Vec<_> = met.others.iter().map(|(job, _)| meeting.seq(job)).collect();
    assert_eq!(seqs, [1, 1, 1]);
    for (member, (_, moved)) in met.others.into_iter().enumerate() {
        match (member, moved) {
            (1, moved) => {
                let found = refused!(moved, Error::InvalidTransition { found, .. } => found);
                assert_eq!(found, "working");
            }
            (_, moved) => moved.expect("working"),
        }
    }
    check::clean(&mut meeting.onlooker);
}

/// One that the database refuses fails alone, with the error that it always has.
fn refused_alone(refuse: fn(&mut SqliteConnection, i64), says: &str, grouped: bool) {
    let mut meeting = Meeting::<Sqlite>::new();
    let members = meeting.members(3);
    refuse(&mut meeting.onlooker, members[1].0.id());
    let met = meeting.run(work, members);
    let led = count(&meeting.leader.take(), "BEGIN IMMEDIATE");
    assert_eq!(led, if grouped { 2 } else { 1 }, "a group is tried where nobody can tell");
    met.leader.1.expect("no panic").expect("working");
    assert_eq!(meeting.seq(&met.leader.0), 1);
    for (member, (job, moved)) in met.others.into_iter().enumerate() {
        assert_eq!(meeting.seq(&job), i64::from(member != 1));
        match (member, moved) {
            (1, moved) => {
                let (record, source) =
                    refused!(moved, Error::Database { record, source } => (record, source));
                assert_eq!(record.and_then(|record| record.id), Some(job.id()));
                assert!(source.to_string().contains(says), "{source}");
                assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
            }
            (_, moved) => moved.expect("working"),
        }
    }
}

#[test]
fn a_member_that_a_constraint_refuses_fails_alone() {
    let orphan = |conn: &mut SqliteConnection, id: i64| {
        let row = format!(
            "INSERT INTO flowstate_transitions \
             (flow_id, seq, transition, to_state, attempt, token, created_at) \
             VALUES ({id}, 1, 'stray', 'open', 1, 'stray', '2026-01-01 00:00:00.000000')"
        );
        conn.batch_execute(&row).expect("a stray row");
    };
    refused_alone(orphan, "UNIQUE", true);
}

#[test]
fn a_member_that_a_trigger_refuses_fails_alone() {
    fn trigger(conn: &mut SqliteConnection, id: i64, how: &str) {
        let trigger = format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON flowstate_transitions WHEN NEW.flow_id = {id} \
             BEGIN SELECT RAISE({how}, 'not this one'); END"
        );
        conn.batch_execute(&trigger).expect("a trigger");
    }
    refused_alone(|conn, id| trigger(conn, id, "ABORT"), "not this one", false);
    refused_alone(|conn, id| trigger(conn, id, "ROLLBACK"), "not this one", false);
}

/// The one that writes dies before the COMMIT: the others write by themselves.
#[test]
fn a_leader_that_panics_leaves_the_others_to_themselves() {
    let mut meeting = Meeting::<Sqlite>::new();
    meeting.at_commit = |answered| assert!(answered, "before the COMMIT");
    let members = meeting.members(3);
    let met = meeting.run(work, members);
    assert!(met.leader.1.is_err(), "it panicked");
    assert_eq!(meeting.seq(&met.leader.0), 0);
    for (job, moved) in met.others {
        moved.expect("working");
        assert_eq!((meeting.seq(&job), job.seq()), (1, 1));
    }
    check::clean(&mut meeting.onlooker);
}

/// The one that writes dies when the COMMIT was sent: nobody can know, and asks.
#[test]
fn members_of_a_commit_without_an_answer_are_told_so() {
    let mut meeting = Meeting::<Sqlite>::new();
    meeting.at_commit = |answered| assert!(!answered, "after the COMMIT");
    let mut members = meeting.members(3);
    let mut stale = members[1].0.clone();
    stale.transition(Job::WORK, &mut meeting.onlooker).run().expect("working");
    members[1].2 = |job, conn| job.transition(Job::PARK, conn).run();
    members[2].2 = create;
    let met = meeting.run(work, members);
    assert!(met.leader.1.is_err(), "it panicked");
    for (member, (job, moved)) in met.others.into_iter().enumerate() {
        if member == 1 {
            refused!(moved, Error::InvalidTransition { .. });
            continue;
        }
        let unconfirmed = refused!(moved, Error::OutcomeUnknown(unconfirmed) => unconfirmed);
        assert_eq!(unconfirmed.resolve(&mut meeting.onlooker).expect("resolved"), Some(true));
        let id = unconfirmed.record().and_then(|record| record.id).expect("known");
        let found = Job::find(id, &mut meeting.onlooker).expect("found");
        if member == 2 {
            assert_eq!((&*found.name, found.seq()), ("new", 0));
        } else {
            assert_eq!((id, found.seq()), (job.id(), 1));
        }
    }
    check::clean(&mut meeting.onlooker);
}
