//! How many statements a call takes.

use diesel::connection::SimpleConnection as _;
use flowstate_diesel::prelude::*;
use flowstate_tests::check;
use flowstate_tests::flows::{Bill, Job, Note};
use flowstate_tests::statement_probe::sent;
use serde_json::json;

use super::Server;

/// A transition is one statement, and as many round trips.
pub(crate) fn the_fast_path_is_one_statement<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let (texts, created) = sent(conn, |conn| Job::new("a").create(conn));
    let mut job = created.expect("created");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let (texts, created) = sent(conn, |conn| Job::new("a").create_once("key", conn));
    created.expect("created");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let (texts, moved) = sent(conn, |conn| job.transition(Job::WORK, conn).run());
    moved.expect("working");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let (texts, moved) = sent(conn, |conn| {
        let note = job.transition(Job::NOTE, conn).persist(Note(json!({"a": null})));
        note.actor("me").then(Job::BILL).persist((Note(json!(null)), Bill { lines: vec![1] })).run()
    });
    moved.expect("noted and billed");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    assert_eq!(job.artefact(conn).expect("read"), Some(Note(json!(null))));
    // what the record wrote itself is there as long as the row has not moved
    let (texts, loaded) = sent(conn, |conn| job.transition(Job::READ, conn).run());
    assert_eq!(loaded.expect("read"), Note(json!(null)));
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let (texts, moved) =
        sent(conn, |conn| job.transition(Job::NOTE, conn).persist(Note(json!(1))).run());
    moved.expect("noted");
    assert_eq!(texts.len(), 1, "{texts:#?}");
    // anything else that is loaded is decoded before something is written: A22
    let mut job = Job::find(job.id(), conn).expect("found");
    let (texts, loaded) = sent(conn, |conn| job.transition(Job::READ, conn).run());
    assert_eq!(loaded.expect("read"), Note(json!(1)));
    assert_eq!(texts.len(), 2, "{texts:#?}");
    // each form is prepared once: several links, one, and one with an artefact
    let prepared = "SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE 'WITH moved%'";
    assert_eq!(D::number(conn, prepared), 3);
    check::clean(conn);
}

/// BEGIN, the lock, the caller's own, the transition, COMMIT.
pub(crate) fn the_slow_path_is_four_statements<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    check::make_effects(conn);
    let mut job = Job::new("a").create(conn).expect("created");
    let (texts, moved) = sent(conn, |conn| {
        job.transition(Job::WORK, conn)
            .guard("it may", |_, _| true)
            .update(|job| job.name.push('b'))
            .within(|_, conn| Ok(conn.batch_execute("INSERT INTO effects VALUES ('a')")?))
            .then(Job::FAIL)
            .run()
    });
    moved.expect("failed");
    assert_eq!(texts.len(), 4 + 1, "{texts:#?}");
    check::clean(conn);
}
