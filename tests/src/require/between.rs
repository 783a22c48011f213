//! What others commit between two statements of one call.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use flowstate::Flow as _;
use flowstate_diesel::operator::{self, register, show};
use flowstate_diesel::{Error, Purge, Worker, prelude::*};
use serde_json::json;

use crate::check::clean;
use crate::flows::{Response, Sync, SyncOutcome};
use crate::statement_probe::Probe;
use crate::steps::picked;
use crate::{Database, fetch_step, save_step};

/// A connection during one statement of which others commit something: the first that contains these
/// words, before it is sent.
fn interrupted<D: Database>(database: &D, words: &'static str, sql: &str) -> D::Conn {
    let (mut others, sql) = (database.connect(), sql.to_owned());
    let commit = Mutex::new(Some(move || others.batch_execute(&sql).expect("committed")));
    let mut conn = database.connect();
    let probe = Probe::new(move |seen| {
        if seen.starts(&[words])
            && let Some(mut commit) = commit.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            commit();
        }
    });
    probe.over(&mut conn);
    conn
}

/// A record that has ended with `{ "a": 1 }`.
fn ended<D: Database>(database: &D) -> i64 {
    let id = picked::<D>(&mut database.connect(), "a");
    Worker::new(database.pool(1))
        .step(fetch_step!(), |_, ()| Ok(Response(json!({ "a": 1 }))))
        .step(save_step!(), |_, _| Ok(()))
        .run_until_idle()
        .expect("ran");
    id
}

/// The record ends once more, with `{ "b": 2 }`.
const AGAIN: &str = "\
    INSERT INTO flowstate_transitions (flow_id, seq, transition, from_state, to_state, attempt, \
    token, created_at) SELECT t.flow_id, t.seq + 1, 'again', t.to_state, t.to_state, 1, 'again', \
    t.created_at FROM flowstate_transitions t JOIN flowstate_flows f ON f.id = t.flow_id \
    AND f.seq = t.seq; \
    INSERT INTO flowstate_artefacts (flow_id, name, seq, payload, version) \
    SELECT id, 'response', seq + 1, '{\"b\":2}', 1 FROM flowstate_flows; \
    UPDATE flowstate_flows SET seq = seq + 1";

const GONE: &str = "DELETE FROM flowstate_artefacts; DELETE FROM flowstate_transitions; \
    DELETE FROM flowstate_flows";

/// An outcome is of one moment: artefacts that came later are not mixed with the state of before, and
/// a record that is deleted meanwhile is gone, not spoilt.
pub fn an_outcome_is_of_one_moment<D: Database>() {
    let database = D::migrated();
    let id = ended(&database);
    let conn = &mut interrupted(&database, "FROM flowstate_artefacts", AGAIN);
    let record = Sync::find(id, conn).expect("found");
    let outcome = record.outcome(conn).expect("read");
    assert_eq!(outcome, Some(SyncOutcome::Completed(Response(json!({ "b": 2 })))));
    clean(conn);
    let conn = &mut interrupted(&database, "FROM flowstate_artefacts", GONE);
    assert!(matches!(record.outcome(conn), Err(Error::NotFound { .. })));
}

/// What is shown of a record is of one moment.
pub fn what_is_shown_is_of_one_moment<D: Database>() {
    let database = D::migrated();
    let id = ended(&database);
    let conn = &mut interrupted(&database, "FROM flowstate_artefacts", AGAIN);
    register::<(Sync,)>("test", conn).expect("registered");
    let shown = show(id, conn).expect("shown");
    let last = shown.history.last().map(|entry| (entry.seq, &*entry.transition));
    assert_eq!(last, Some((shown.standing.seq, "again")));
    assert_eq!(shown.artefacts.last().map(|last| last.seq), Some(shown.standing.seq));
    let conn = &mut interrupted(&database, "FROM flowstate_artefacts", GONE);
    assert!(matches!(show(id, conn), Err(operator::Error::NotFound { .. })));
}

/// A purge of one flow deletes none of another that has got the id since.
pub fn a_purge_deletes_no_other_flow<D: Database>() {
    let database = D::migrated();
    let id = ended(&database);
    let conn = &mut database.connect();
    let other = "UPDATE flowstate_flows SET flow = 'other'";
    // when the ids are known, and before the row is locked, or the file
    let words = if D::FOLDER == "sqlite" { "BEGIN" } else { "SELECT flow, seq" };
    let purging = &mut interrupted(&database, words, other);
    assert_eq!(Purge::older_than(Duration::ZERO).of::<Sync>().run(purging).expect("ran"), 0);
    let left = format!("SELECT COUNT(*) FROM flowstate_flows WHERE id = {id}");
    assert_eq!((Sync::NAME, D::number(conn, &left)), ("sync", 1));
}
