//! Every call does what its documentation says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate::Flow as _;
use flowstate_diesel::prelude::*;
use flowstate_diesel::{BoxError, Error, Page, transaction};
use serde_json::json;

use crate::flows::{Bill, Job, JobRecord, JobState, Note, Sync};
use crate::statement_probe::Probe;
use crate::{Database, check, refused};

fn half<D: Database>(name: &str, conn: &mut D::Conn) -> JobRecord {
    let mut job = Job::new(name).create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    job.transition(Job::NOTE, conn).persist(Note(json!(name))).run().expect("noted");
    job
}

/// Pages by id, of the states asked for.
pub fn list_gives_pages<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    assert_eq!(Job::create_many([], conn).expect("none").len(), 0);
    let names = ["a", "b", "c", "d", "e"];
    let mut jobs = Job::create_many(names.map(Job::new), conn).expect("created");
    assert!(jobs.iter().map(|job| &*job.name).eq(names), "in the same order");
    Sync::new("not one of them").create(conn).expect("created");
    jobs[1].transition(Job::WORK, conn).run().expect("working");
    jobs[3].transition(Job::PARK, conn).run().expect("parked");
    let mut list = |states: &[JobState], page| {
        let page = Job::list(states.iter().copied(), page, conn).expect("listed");
        page.iter().map(|job| (job.name.clone(), job.id())).collect::<Vec<_>>()
    };
    let ids: Vec<_> = jobs.iter().map(|job| job.id()).collect();
    let at = |index: usize| (names[index].to_owned(), ids[index]);
    let both = [JobState::Open, JobState::Parked];
    assert_eq!(list(&both, Page::first(2)), [at(0), at(2)]);
    assert_eq!(list(&both, Page::after(ids[2], 2)), [at(3), at(4)]);
    assert_eq!(list(&both, Page::after(ids[4], 2)), []);
    assert_eq!(list(&[JobState::Working], Page::first(9)), [at(1)]);
    assert_eq!(list(&[], Page::first(9)), []);
    assert_eq!(list(&both, Page::first(0)), []);
}

/// A row that cannot be read does not keep the others away.
pub fn an_unreadable_row_is_listed_by_itself<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let jobs = Job::create_many(["a", "b", "c"].map(Job::new), conn).expect("created");
    let ids: Vec<_> = jobs.iter().map(|job| job.id()).collect();
    let spoil = format!("UPDATE flowstate_flows SET props = '{{}}' WHERE id = {}", ids[1]);
    conn.batch_execute(&spoil).expect("spoilt");
    let listed = Job::list_each([JobState::Open], Page::first(9), conn).expect("listed");
    assert!(listed.iter().map(|(id, _)| *id).eq(ids.iter().copied()));
    let names = listed.iter().map(|(_, job)| job.as_ref().ok().map(|job| &*job.name));
    assert!(names.eq([Some("a"), None, Some("c")]), "the others");
    let unreadable = listed.into_iter().nth(1).expect("three").1;
    let record = refused!(unreadable, Error::Decode { record, .. } => record);
    assert_eq!(record.id, Some(ids[1]));
    refused!(Job::list([JobState::Open], Page::first(9), conn), Error::Decode { .. });
    let rest = Job::list([JobState::Open], Page::after(ids[1], 9), conn).expect("listed");
    assert_eq!(rest.len(), 1);
}

/// Rows under earlier names are read as before.
pub fn aliases_are_read<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut parked = Job::new("a").create(conn).expect("created");
    parked.transition(Job::PARK, conn).run().expect("parked");
    let mut noted = half::<D>("b", conn);
    conn.batch_execute(
        "UPDATE flowstate_flows SET state = 'paused' WHERE state = 'parked'; \
         UPDATE flowstate_transitions SET to_state = 'paused' WHERE to_state = 'parked'; \
         UPDATE flowstate_artefacts SET name = 'memo'",
    )
    .expect("as an older program left them");
    let mut found = Job::find(parked.id(), conn).expect("found");
    assert_eq!(found.state(), JobState::Parked);
    let listed = Job::list([JobState::Parked], Page::first(9), conn).expect("listed");
    assert!(listed.iter().map(|job| job.id()).eq([parked.id()]));
    let counts = Job::count_by_state(u32::MAX, conn).expect("counted");
    let parked = counts.iter().find(|count| count.state == "parked").expect("counted");
    assert!(parked.is_known && parked.records == 1);
    let guard = |job: &flowstate::Record<Job>, _: &mut _| job.state() == JobState::Parked;
    found.transition(Job::WORK, conn).guard("it is parked", guard).run().expect("working");

    assert_eq!(noted.artefact(conn).expect("read"), Some(Note(json!("b"))));
    assert_eq!(noted.transition(Job::READ, conn).run().expect("read"), Note(json!("b")));
    noted.transition(Job::NOTE, conn).persist(Note(json!("new"))).run().expect("noted");
    assert_eq!(noted.artefact(conn).expect("read"), Some(Note(json!("new"))), "the newest");
    let entries = noted.artefacts(conn).expect("the artefacts");
    let entries: Vec<_> = entries.iter().map(|entry| (&*entry.name, entry.seq)).collect();
    assert_eq!(entries, [("memo", 2), ("note", 4)]);
    check::clean(conn);
}

/// What is read of records can be handed on as JSON, and what workers tell of themselves.
pub fn what_is_read_becomes_json<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    let request = job.transition(Job::NOTE, conn).persist(Note(json!({ "x": 1 }))).actor("anna");
    request.metadata(&["night"]).run().expect("noted");
    let json = |value: serde_json::Result<serde_json::Value>| value.expect("JSON");
    let history = job.history(conn).expect("the history");
    let mut entry = json(serde_json::to_value(&history[2]));
    let at = entry["created_at"].take();
    assert!(at.as_str().is_some_and(|at| at.ends_with('Z')), "{at}");
    let expected = json!({
        "seq": 2, "transition": "note", "from": "working", "to": "half", "attempt": 1,
        "error": null, "actor": "anna", "metadata": ["night"], "traceparent": null, "created_at": null,
    });
    assert_eq!(entry, expected);
    let artefacts = job.artefacts(conn).expect("the artefacts");
    let expected = json!([{ "name": "note", "seq": 2, "payload": { "x": 1 }, "version": 1 }]);
    assert_eq!(json(serde_json::to_value(artefacts)), expected);
    let counts = Job::count_by_state(9, conn).expect("counted");
    let expected = json!([{ "state": "half", "records": 1, "is_known": true }]);
    assert_eq!(json(serde_json::to_value(counts)), expected);
    let stats = json(serde_json::to_value(flowstate_diesel::Stats::default()));
    assert_eq!((&stats["claimed"], &stats["oldest_due"]), (&json!(0), &json!([])));
}

/// Artefacts: several of one transition, replaced ones, and none.
pub fn artefacts_are_kept_with_their_transition<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = half::<D>("a", conn);
    assert_eq!(job.artefact::<Bill>(conn).expect("none"), None);
    let bill = Bill { lines: vec![1, 2] };
    job.transition(Job::BILL, conn).persist((Note(json!(2)), bill.clone())).run().expect("billed");
    assert_eq!(job.artefact(conn).expect("read"), Some(bill));
    assert_eq!(job.artefact(conn).expect("read"), Some(Note(json!(2))));
    let entries = job.artefacts(conn).expect("the artefacts");
    let entries: Vec<_> =
        entries.iter().map(|entry| (entry.seq, &*entry.name, &entry.payload)).collect();
    let (first, second, lines) = (json!("a"), json!(2), json!({"lines": [1, 2]}));
    assert_eq!(entries, [(2, "note", &first), (3, "bill", &lines), (3, "note", &second)]);

    conn.batch_execute("DELETE FROM flowstate_artefacts").expect("lost");
    // what it wrote itself it need not ask for
    let mut job = Job::find(job.id(), conn).expect("found");
    refused!(job.transition(Job::READ, conn).run(), Error::MissingArtefact { .. });
    assert_eq!((job.state(), job.seq()), (JobState::Half, 3));
}

/// What is told of a transition is kept in the history.
pub fn notes_are_kept_in_the_history<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = half::<D>("a", conn);
    let error: BoxError = Box::new(Error::from(diesel::result::Error::NotFound));
    job.transition(Job::NOTE, conn)
        .persist(Note(json!("b")))
        .actor("somebody")
        .metadata(&json!({"why": ["because"]}))
        .error(error)
        .then(Job::FINISH)
        .run()
        .expect("finished");
    let history = job.history(conn).expect("the history");
    assert_eq!(history.len(), 5);
    let (noted, finished) = (&history[3], &history[4]);
    assert_eq!((&*noted.transition, &*finished.transition), ("note", "finish"));
    assert_eq!(noted.actor.as_deref(), Some("somebody"));
    assert_eq!(finished.actor.as_deref(), Some("somebody"));
    assert_eq!(noted.metadata, Some(json!({"why": ["because"]})));
    assert_eq!(noted.error.as_deref(), Some("the database failed: Record not found"));
    assert_eq!((&finished.metadata, &finished.error), (&None, &None));
    assert_eq!((finished.from.as_deref(), &*finished.to), (Some("half"), "done"));
    assert_eq!(history[2].actor, None);
    check::clean(conn);
}

/// A delay is counted by the database's clock, and has a reasonable end.
pub fn a_delay_moves_the_due_time<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    assert_eq!(job.due_at().expect("due"), job.created_at());
    let mut waits = |delay: Duration| {
        let next = (job.state() == JobState::Working).then_some(());
        match next {
            Some(()) => job.transition(Job::FAIL, conn).delay(delay).run(),
            None => job.transition(Job::WORK, conn).delay(delay).run(),
        }
        .expect("moved");
        let found = Job::find(job.id(), conn).expect("found");
        // exact, or an estimate where the database would have to be asked for it
        let differ = found.due_at().expect("due") - job.due_at().expect("due");
        assert!(differ.num_milliseconds().abs() < 1_000, "{differ}");
        (job.due_at().expect("due") - job.updated_at()).num_seconds()
    };
    assert!((0..=1).contains(&waits(Duration::ZERO)));
    assert!((3_599..=3_601).contains(&waits(Duration::from_hours(1))));
    assert!((0..=1).contains(&waits(Duration::from_micros(1))));
    let years = waits(Duration::MAX) / (365 * 24 * 3_600);
    assert!((100..10_000).contains(&years), "{years} years");
    check::clean(conn);
}

/// A record that is due at a time is due just then; one whose time has passed is due now, and no time
/// is too far away.
pub fn a_time_is_just_that_time<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let now = Job::new("now").create(conn).expect("created").created_at();
    let at = now + chrono::TimeDelta::days(3) + chrono::TimeDelta::microseconds(123_456);
    let job = Job::new("a").create_at(at, conn).expect("created");
    assert_eq!(job.due_at(), Some(at));
    assert_eq!(Job::find(job.id(), conn).expect("found").due_at(), Some(at));
    for past in [now - chrono::TimeDelta::days(3), chrono::DateTime::<chrono::Utc>::MIN_UTC] {
        let job = Job::new("b").create_at(past, conn).expect("created");
        assert_eq!(job.due_at(), Some(job.created_at()));
    }
    let job = Job::new("c").create_at(chrono::DateTime::<chrono::Utc>::MAX_UTC, conn);
    assert!(job.expect("created").due_at() > Some(at));
    check::clean(conn);
}

/// Updates start from the locked row, after the guards and before `within`.
pub fn updates_change_the_props<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let mut stale = Job::find(job.id(), conn).expect("found");
    job.transition(Job::PARK, conn).update(|job| job.name.push('b')).run().expect("parked");
    assert_eq!((&*job.name, &*stale.name), ("ab", "a"));
    stale
        .transition(Job::WORK, conn)
        .within(|job, _| if job.name == "abcd" { Ok(()) } else { Err("not updated yet".into()) })
        .update(|job| job.name.push('c'))
        .guard("before the updates", |job, _| job.name == "ab")
        .update(|job| job.name.push('d'))
        .run()
        .expect("working");
    assert_eq!(&*stale.name, "abcd");
    assert_eq!(&*Job::find(job.id(), conn).expect("found").name, "abcd");
    let failed = stale
        .transition(Job::FAIL, conn)
        .update(|job| job.name.clear())
        .within(|_, _| Err::<(), _>("no".into()))
        .run();
    let source = refused!(failed, Error::Within { transition: "fail", source, .. } => source);
    assert_eq!(source.to_string(), "no");
    // what is of this library comes out as itself
    let other = stale.transition(Job::FAIL, conn).within(|_, conn| {
        Job::find(-1, conn)?;
        Ok(())
    });
    refused!(other.run(), Error::NotFound { .. });
    assert_eq!(&*stale.name, "abcd");
    job.reload(conn).expect("reloaded");
    assert_eq!((&*job.name, job.state(), job.seq()), ("abcd", JobState::Working, 2));
    check::clean(conn);
}

/// A record that is gone, or of another flow, is not found by any call.
pub fn what_is_gone_is_not_found<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = half::<D>("a", conn);
    refused!(Sync::find(job.id(), conn), Error::NotFound { .. });
    let mut copy = job.clone();
    job.destroy(conn).expect("destroyed");
    assert_eq!(check::sizes::<D>(conn), [0, 0, 0]);
    let record = refused!(copy.reload(conn), Error::NotFound { record } => record);
    assert_eq!((record.flow, record.id), (Job::NAME, Some(job.id())));
    refused!(copy.destroy(conn), Error::NotFound { .. });
    refused!(copy.transition(Job::FINISH, conn).run(), Error::NotFound { .. });
    refused!(
        copy.transition(Job::FINISH, conn)
            .guard("never asked", |_, _| -> bool { unreachable!() })
            .run(),
        Error::NotFound { .. }
    );
    assert_eq!((copy.state(), copy.seq()), (JobState::Half, 2), "as it was");
    assert_eq!(copy.history(conn).expect("the history"), []);
    let undone = transaction(conn, |conn| {
        let mut job = Job::new("b").create(conn)?;
        job.destroy(conn)?;
        refused!(Job::find(job.id(), conn), Error::NotFound { .. });
        Ok::<_, Error>(job.id())
    });
    refused!(Job::find(undone.expect("committed"), conn), Error::NotFound { .. });
}

/// However large they are together, records are created in parts that a database takes at once: the
/// same parts on every database.
pub fn many_records_go_in_bounded_parts<D: Database>() {
    const MIB: usize = 1 << 20;
    let database = D::migrated();
    let conn = &mut database.connect();
    let (parts, longest) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let probe = {
        let (parts, longest) = (Arc::clone(&parts), Arc::clone(&longest));
        Probe::new(move |seen| {
            if seen.starts(&["INSERT INTO flowstate_transitions"]) {
                parts.fetch_add(1, Ordering::SeqCst);
            }
            longest.fetch_max(seen.text.len(), Ordering::SeqCst);
        })
    };
    probe.over(conn);
    let text = "x".repeat(5 * MIB);
    let jobs = Job::create_many((0..5).map(|_| Job::new(&text)), conn).expect("created");
    assert_eq!((jobs.len(), check::rows::<D>(conn, "flowstate_flows")), (5, 5));
    assert_eq!(parts.load(Ordering::SeqCst), 3, "two and two and one");
    let longest = longest.load(Ordering::SeqCst);
    assert!(longest < 13 * MIB, "{longest}");
}
