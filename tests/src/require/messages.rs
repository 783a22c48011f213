//! Every error names the flow and the record, and says what was expected.

use diesel::connection::SimpleConnection;
use flowstate_diesel::Error;
use flowstate_diesel::prelude::*;
use serde_json::json;

use crate::Database;
use crate::flows::{Job, JobRecord, Note};

/// The error that a call gives, which must say all of this.
fn says<R>(result: Result<R, Error>, name: &str, parts: &[&str]) {
    let Err(error) = result else { panic!("{name}: it was not refused") };
    assert!(format!("{error:?}").starts_with(name), "{name}: another error: {error:?}");
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    for part in parts {
        assert!(text.contains(part), "{name}: {part} in: {text}");
    }
}

/// A record whose last transition was `note`.
fn half(conn: &mut impl flowstate_diesel::AsStore) -> JobRecord {
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    job.transition(Job::NOTE, conn).persist(Note(json!("a"))).run().expect("noted");
    job
}

/// What a transition is refused with.
pub fn a_refused_transition_names_its_record<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    Job::new("another").create(conn).expect("created");
    let mut job = half(conn);
    let id = &*format!("job #{}", job.id());
    let work = ["`work` starts from `open` or `parked` or `broken`", "is in `half`"];
    let moved = job.transition(Job::WORK, conn).run();
    says(moved, "InvalidTransition", &[&[id], &work[..]].concat());
    let guarded = job.transition(Job::FINISH, conn).guard("it is time", |_, _| false).run();
    says(guarded, "GuardRejected", &[id, "`finish`", "\"it is time\""]);
    let unsure = job.transition(Job::FINISH, conn).guard("it is time", |_, _| Err("no clock"));
    says(unsure.run(), "Guard", &[id, "`finish`", "\"it is time\"", "no clock"]);
    let within = job.transition(Job::FINISH, conn).within(|_, _| Err::<(), _>("no way".into()));
    says(within.run(), "Within", &[id, "`finish`", "no way"]);
    let ignored = job.transition(Job::FINISH, conn).within(|_, conn| {
        let _ = conn.batch_execute("INSERT INTO no_such_table VALUES (1)");
        Ok(())
    });
    says(ignored.run(), "FailureIgnored", &[id, "no_such_table", "return the error"]);
    let too_deep = (0..200).fold(json!([]), |inner, _| json!([inner]));
    let stored = job.transition(Job::NOTE, conn).persist(Note(too_deep)).run();
    says(stored, "Unstorable", &[id, "artefact `note`", "100 levels"]);
    let foreign = conn.transaction(|conn| {
        job.transition(Job::FINISH, conn).after_commit(|_| ()).run()?;
        Ok::<_, Error>(())
    });
    let remedy = "`flowstate_diesel::transaction`";
    says(foreign, "HooksInForeignTransaction", &[id, "`finish`", remedy]);
    assert_eq!(job.seq(), 2, "as it was");
}

/// What cannot be read, or is not there.
pub fn what_cannot_be_read_names_its_record<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    Job::new("another").create(conn).expect("created");
    let job = half(conn);
    let id = &*format!("job #{}", job.id());
    let mut spoil = |sql: &str| conn.batch_execute(sql).expect("spoilt");
    spoil("UPDATE flowstate_artefacts SET payload = '5', name = 'other'");
    let conn = &mut database.connect();
    let mut job = Job::find(job.id(), conn).expect("found");
    let read = job.transition(Job::READ, conn).run();
    says(read, "MissingArtefact", &[id, "artefact `note`"]);
    spoil("UPDATE flowstate_flows SET props = '{\"name\": 5}'");
    says(Job::find(job.id(), conn), "Decode", &[id, "props", "`name`", "expected a string"]);
    spoil("UPDATE flowstate_flows SET state = 'nowhere'");
    says(Job::find(job.id(), conn), "UnknownState", &[id, "`nowhere`", "`alias`"]);
    says(job.transition(Job::FINISH, conn).guard("", |_, _| true).run(), "UnknownState", &[id]);
    spoil("DELETE FROM flowstate_artefacts");
    spoil("DELETE FROM flowstate_transitions");
    spoil("DELETE FROM flowstate_flows");
    says(job.transition(Job::FINISH, conn).run(), "NotFound", &[id, "does not exist"]);

    let unmigrated = &mut D::empty();
    let conn = &mut unmigrated.connect();
    let remedy = "`flowstate_diesel::migrate(&mut conn)`";
    says(job.transition(Job::FINISH, conn).run(), "NotMigrated", &[id, remedy]);
    says(Job::new("a").create(conn), "NotMigrated", &["new job", remedy]);
}

/// A key that is taken, and another transaction in the way.
pub fn what_is_in_the_way_names_the_record<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.impatient();
    let holder = &mut database.connect();
    Job::new("another").create(conn).expect("created");
    let mut job = Job::new("a").create_once("key", conn).expect("created").into_record();
    let id = &*format!("job #{}", job.id());
    says(Job::new("b").create_once("key", conn), "KeyConflict", &[id, "`key`", "other props"]);
    says(Job::new("b").create_once(&"k".repeat(300), conn), "Unstorable", &["new job", "300"]);
    flowstate_diesel::transaction(holder, |holder| {
        let mut held = Job::find(job.id(), holder)?;
        held.transition(Job::PARK, holder).run()?;
        let moved = job.transition(Job::WORK, conn).run();
        says(moved, "Conflict", &[id, "locked", "tried", "try again later"]);
        Ok::<_, Error>(())
    })
    .expect("committed");
}
