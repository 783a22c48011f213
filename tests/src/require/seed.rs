//! What a flow does, as the documentation tells it.

use std::cell::Cell;
use std::sync::mpsc::channel;

use diesel::connection::SimpleConnection;
use flowstate::{Flow, Record};
use flowstate_diesel::prelude::*;
use flowstate_diesel::{Error, What};
use serde_json::json;

use crate::flows::{Flawed, Job, JobState, Measure, Note, Response, Sync, SyncState};
use crate::{Database, check, refused};

/// From `create` to the completed state, with a failure in between.
pub fn a_flow_runs_from_end_to_end<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut flow = Sync::new("a").create(conn).expect("created");
    flow.transition(Sync::PICK, conn).run().expect("picked");
    flow.transition(Sync::START_FETCH, conn).run().expect("started");
    flow.transition(Sync::FAIL_FETCH, conn).error("no luck").run().expect("failed");
    flow.transition(Sync::START_FETCH, conn).run().expect("started again");
    let response = Response(json!({"answer": 42}));
    flow.transition(Sync::FINISH_FETCH, conn).persist(response.clone()).run().expect("fetched");
    let loaded = flow.transition(Sync::START_SAVE, conn).run().expect("saving");
    assert_eq!(loaded, response);
    flow.transition(Sync::FINISH_SAVE, conn).then(Sync::COMPLETE).run().expect("completed");
    assert_eq!((flow.state(), flow.seq()), (SyncState::Completed, 8));

    let history = flow.history(conn).expect("the history");
    let told: Vec<_> = history.iter().map(|row| (&*row.transition, row.attempt)).collect();
    assert_eq!(
        told,
        [
            ("flow.create", 1),
            ("pick", 1),
            ("start_fetch", 1),
            ("fail_fetch", 1),
            ("start_fetch", 2),
            ("finish_fetch", 2),
            ("start_save", 1),
            ("finish_save", 1),
            ("complete", 1),
        ]
    );
    check::clean(conn);
}

/// A hook is a promise that the artefact can be read by others.
pub fn an_artefact_is_stored_before_the_hook_runs<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    let (url, (tell, told)) = (database.url(), channel());
    job.transition(Job::NOTE, conn)
        .persist(Note(json!("kept")))
        .after_commit(move |job| {
            let found = job.artefact::<Note>(&mut D::connect_to(&url));
            tell.send((found.expect("read"), job.state())).expect("told");
        })
        .run()
        .expect("noted");
    assert_eq!(told.recv(), Ok((Some(Note(json!("kept"))), JobState::Half)));
}

/// What a guard decides, it decides before anything is written.
pub fn a_guard_decides<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    let before = check::sizes::<D>(conn);
    let rejected = job.transition(Job::WORK, conn).guard("it is open", |_, _| false).run();
    let (transition, guard) = refused!(
        rejected,
        Error::GuardRejected { transition, guard, .. } => (transition, guard)
    );
    assert_eq!((transition, guard), ("work", "it is open"));
    assert_eq!((job.state(), job.seq()), (JobState::Open, 0));
    assert_eq!(check::sizes::<D>(conn), before);

    let failed = job.transition(Job::WORK, conn);
    let failed = failed.guard("it is open", |_, _| Err::<bool, _>("no idea")).run();
    let source = refused!(failed, Error::Guard { source, .. } => source);
    assert_eq!(source.to_string(), "no idea");
    assert_eq!(check::sizes::<D>(conn), before);

    let asked = Cell::new(0);
    job.transition(Job::WORK, conn)
        .guard("the first", |job, _| job.name == "a")
        .guard("the second", |_, _| {
            asked.set(asked.get() + 1);
            Ok::<_, Error>(true)
        })
        .run()
        .expect("both agree");
    assert_eq!((job.state(), asked.get()), (JobState::Working, 1));
    check::clean(conn);
}

/// Completed records stay, unless the state says `destroy`.
pub fn completion_keeps_or_destroys<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let half = |conn: &mut D::Conn| {
        let mut job = Job::new("a").create(conn).expect("created");
        job.transition(Job::WORK, conn).run().expect("working");
        job.transition(Job::NOTE, conn).persist(Note(json!(1))).run().expect("noted");
        job
    };
    let mut kept = half(conn);
    kept.transition(Job::FINISH, conn).run().expect("finished");
    assert!(kept.completed_at().is_some() && kept.due_at().is_none());
    let found = Job::find(kept.id(), conn).expect("still there");
    kept.reload(conn).expect("reloaded");
    assert_eq!(found.completed_at(), kept.completed_at());
    assert!(found.is_completed() && found.due_at().is_none());

    let before = check::sizes::<D>(conn);
    let mut destroyed = half(conn);
    destroyed.transition(Job::ABANDON, conn).run().expect("abandoned");
    assert_eq!(destroyed.state(), JobState::Gone);
    assert_eq!(check::sizes::<D>(conn), before, "no row and no child row");
    refused!(Job::find(destroyed.id(), conn), Error::NotFound { .. });
    refused!(destroyed.transition(Job::WORK, conn).run(), Error::NotFound { .. });
    check::clean(conn);
}

/// `last_errored_at` tells of the error state the record is in.
pub fn an_error_is_remembered_while_it_lasts<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    assert_eq!(job.last_errored_at(), None);
    job.transition(Job::FAIL, conn).error("no luck").run().expect("failed");
    assert_eq!(job.last_errored_at(), Some(job.updated_at()));
    let found = Job::find(job.id(), conn).expect("found");
    job.reload(conn).expect("reloaded");
    assert_eq!(found.last_errored_at(), job.last_errored_at());
    assert!(found.is_error());
    job.transition(Job::WORK, conn).run().expect("working again");
    let found = Job::find(job.id(), conn).expect("found");
    assert_eq!((job.last_errored_at(), found.last_errored_at()), (None, None));
    assert_eq!((job.attempt(), found.attempt()), (2, 2));
}

/// A history row for each transition, with from, to and time.
pub fn history_tells_from_to_and_when<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut job = Job::new("a").create(conn).expect("created");
    job.transition(Job::WORK, conn).run().expect("working");
    job.transition(Job::FAIL, conn).error("no luck").run().expect("failed");
    let history = job.history(conn).expect("the history");
    let told: Vec<_> = history
        .iter()
        .map(|row| (row.seq, &*row.transition, row.from.as_deref(), &*row.to, row.error.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (0, "flow.create", None, "open", None),
            (1, "work", Some("open"), "working", None),
            (2, "fail", Some("working"), "broken", Some("no luck")),
        ]
    );
    assert!(history.iter().all(|row| row.created_at >= job.created_at()));
}

/// Props that do not fit the type are refused at load, with the path; what cannot be stored is
/// refused at creation.
pub fn props_of_a_wrong_shape_are_refused<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let job = Job::new("a").create(conn).expect("created");
    conn.batch_execute("UPDATE flowstate_flows SET props = '{\"name\": 7, \"payload\": null}'")
        .expect("spoilt");
    let (record, what, path) = refused!(
        Job::find(job.id(), conn),
        Error::Decode { record, what, path, .. } => (record, what, path)
    );
    assert_eq!((record.id, what, &*path), (Some(job.id()), What::Props, "name"));

    let before = check::sizes::<D>(conn);
    let float = Measure { values: vec![1.5, f64::NAN] };
    let fault = refused!(float.create(conn), Error::Unstorable { fault, .. } => fault);
    assert!(fault.contains("NaN") && fault.contains("values[1]"), "{fault}");
    assert_eq!(check::sizes::<D>(conn), before);
}

/// What `create` returns is what the row says.
pub fn a_created_record_is_as_its_row<D: Database>() {
    fn same<F: Flow>(created: &Record<F>, found: &Record<F>) {
        let columns = |record: &Record<F>| {
            let times = (record.created_at(), record.updated_at(), record.due_at());
            let ends = (record.completed_at(), record.last_errored_at());
            let key = record.key().map(str::to_owned);
            (record.id(), record.state(), record.seq(), key, record.attempt(), times, ends)
        };
        assert_eq!(columns(created), columns(found));
    }
    let database = D::migrated();
    let conn = &mut database.connect();
    let job = Job::new("a").create_once("key", conn).expect("created").into_record();
    same(&job, &Job::find(job.id(), conn).expect("found"));
    for job in Job::create_many([Job::new("a"), Job::new("b")], conn).expect("created") {
        same(&job, &Job::find(job.id(), conn).expect("found"));
    }
    let flawed = Flawed {}.create(conn).expect("created");
    same(&flawed, &Flawed::find(flawed.id(), conn).expect("found"));
}
