//! How many statements a call takes, and what they read.

use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Text;
use diesel::{RunQueryDsl as _, dsl};
use flowstate_diesel::Worker;
use flowstate_diesel::prelude::*;
use flowstate_tests::flows::{Bill, Job, Note, Response};
use flowstate_tests::statement_probe::{Probe, sent};
use flowstate_tests::steps::picked_together;
use flowstate_tests::{check, fetch_step};
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

/// A worker that asks which of its claims it still holds reads these, and no table, though so few rows
/// are claimed that the planner would rather look through all of them.
pub(crate) fn held_claims_are_looked_up_by_their_ids<D: Server>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    picked_together::<D>(conn, 2);
    let (probe, recorded) = Probe::recording();
    let stats = Worker::new(D::probed_pool(&database.url(), 2, probe))
        .step(fetch_step!().batch(2), |_, ()| {
            // until the claim that waits is no longer taken to be fresh
            thread::sleep(Duration::from_millis(50));
            Ok(Response(json!(1)))
        })
        .threads(1)
        .run_until_idle()
        .expect("ran");
    assert_eq!(stats.finished, 2);
    let texts = recorded.take();
    let asked = texts.iter().find(|text| text.contains("WHERE leased_by = $1 AND id"));
    let asked = asked.and_then(|text| text.split(" -- binds").next()).expect("asked");
    conn.batch_execute(&format!(
        "INSERT INTO flowstate_flows (flow, state, seq, props, attempts, created_at, updated_at) \
         SELECT 'sync', 'completed', 0, 'null', 0, now(), now() FROM generate_series(1, 5000); \
         ANALYZE flowstate_flows; PREPARE held (text, text) AS {asked}"
    ))
    .expect("many more");
    let plan = dsl::sql::<Text>("EXPLAIN EXECUTE held ('me', '[1, 2]')").load::<String>(conn);
    let plan = plan.expect("a plan");
    assert!(plan.iter().all(|line| !line.contains("Seq Scan")), "{plan:#?}");
}
