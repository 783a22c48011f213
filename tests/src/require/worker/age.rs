//! What a claim costs does not grow with what a record has been through.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use flowstate_diesel::transaction;
use flowstate_diesel::{StepError, claim_next, prelude::*, testing};

#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::check;
use crate::check::clean;
use crate::flows::{Receipt, Round, RoundWorkOutcome};
use crate::{Database, round_step};

/// Takes a record through a step that repeats, once.
pub fn go_round<D: Database>(conn: &mut D::Conn) {
    let claim = claim_next(round_step!(), conn).expect("no error").expect("a claim");
    claim.finish(RoundWorkOutcome::Resting(Receipt::new()), conn).expect("finished");
}

/// A record that has come round two thousand times.
pub fn grow_old<D: Database>(conn: &mut D::Conn) {
    let id = Round::new().create(conn).expect("created").id();
    go_round::<D>(conn);
    double::<D>(conn, id, 11);
    go_round::<D>(conn);
}

/// Doubles a record's history so many times: its seqs go on, and the rest is as it was.
fn double<D: Database>(conn: &mut D::Conn, id: i64, times: u32) {
    for _ in 0..times {
        let again = format!(
            "INSERT INTO flowstate_transitions (flow_id, seq, transition, from_state, to_state, \
             attempt, error, actor, metadata, token, created_at, visit) \
             SELECT t.flow_id, t.seq + f.seq, t.transition, t.from_state, t.to_state, \
             t.attempt, t.error, t.actor, t.metadata, t.token, t.created_at, t.visit \
             FROM flowstate_transitions t JOIN flowstate_flows f ON f.id = t.flow_id \
             WHERE t.flow_id = {id} AND t.seq > 0"
        );
        conn.batch_execute(&again).expect("twice as long");
        let sql = format!("UPDATE flowstate_flows SET seq = seq * 2 WHERE id = {id}");
        conn.batch_execute(&sql).expect("twice as far");
    }
}

/// A claim of a step that repeats looks up when it last finished, for its idempotency key: it reads as
/// far back as that, however long the history is, and however old the statistics are.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn a_claim_reads_no_history<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    grow_old::<D>(conn);
    let read = rows_read_by::<D>(conn, go_round::<D>);
    assert!(read < 200, "{read} of 6,000");
    clean(conn);
}

/// How many rows the server reads for `work`.
#[cfg(any(feature = "mysql", feature = "postgres"))]
fn rows_read_by<D: Database>(conn: &mut D::Conn, work: fn(&mut D::Conn)) -> i64 {
    let rows_read = |conn: &mut D::Conn| match D::FOLDER {
        "mysql" => check::rows_read::<D>(conn),
        // the statistics of a transaction are its own
        _ => D::number(
            conn,
            "SELECT CAST(SUM(COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0)) AS BIGINT) \
             FROM pg_stat_xact_user_tables",
        ),
    };
    let read = transaction(conn, |conn| {
        let before = rows_read(conn);
        work(conn);
        Ok::<_, flowstate_diesel::Error>(rows_read(conn) - before)
    });
    read.expect("committed")
}

/// A step that has never ended, and never will.
fn try_in_vain<D: Database>(conn: &mut D::Conn) {
    let claim = claim_next(round_step!(), conn).expect("no error").expect("a claim");
    claim.fail(StepError::not_yet(Duration::ZERO), conn).expect("put off");
    testing::make_everything_due(conn).expect("due");
}

/// A claim remembers when its step last ended, if ever, so that the next one reads no further back,
/// though the step goes on and on without an end.
pub fn a_claim_remembers_the_last_end<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    Round::new().create(conn).expect("created");
    let visits = |conn: &mut D::Conn| {
        let of = |which: &str| {
            format!(
                "SELECT visit FROM flowstate_transitions WHERE transition = 'start_work' \
                 ORDER BY seq {which} LIMIT 1"
            )
        };
        [D::number(conn, &of("ASC")), D::number(conn, &of("DESC"))]
    };
    let key = |conn: &mut D::Conn| {
        let claim = claim_next(round_step!(), conn).expect("no error").expect("a claim");
        let key = claim.idempotency_key();
        claim.release(conn).expect("released");
        testing::make_everything_due(conn).expect("due");
        key
    };
    let first = key(conn);
    try_in_vain::<D>(conn);
    assert_eq!((key(conn), visits(conn)), (first.clone(), [-1, -1]));
    go_round::<D>(conn);
    let ended = "SELECT MAX(seq) FROM flowstate_transitions WHERE transition LIKE 'finish_work%'";
    let ended = D::number(conn, ended);
    let second = key(conn);
    assert_ne!(second, first);
    try_in_vain::<D>(conn);
    assert_eq!((key(conn), visits(conn)), (second, [-1, ended]));
    clean(conn);
}

/// A record that has been through four thousand transitions, and never through the step.
fn grow_old_elsewhere<D: Database>(conn: &mut D::Conn) {
    let id = Round::new().create(conn).expect("created").id();
    let first = format!(
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
         SELECT flow_id, 1, 'again', to_state, to_state, 1, token, created_at \
         FROM flowstate_transitions WHERE flow_id = {id}"
    );
    conn.batch_execute(&first).expect("a transition");
    let sql = format!("UPDATE flowstate_flows SET seq = 1 WHERE id = {id}");
    conn.batch_execute(&sql).expect("moved");
    double::<D>(conn, id, 12);
}

/// The first claim of a step that repeats reads no more than any other of a record that is old by then.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn a_first_claim_of_an_old_record_reads_little<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    grow_old_elsewhere::<D>(conn);
    let read = rows_read_by::<D>(conn, try_in_vain::<D>);
    assert!(read < 1200, "{read} of 4,000");
    clean(conn);
}

/// Of a record that is too old to be looked through, the step begins anew: with a key that all tries
/// have until it ends, and none afterwards.
pub fn a_step_of_an_old_record_has_a_key_until_it_ends<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    grow_old_elsewhere::<D>(conn);
    let key = |conn: &mut D::Conn| {
        let claim = claim_next(round_step!(), conn).expect("no error").expect("a claim");
        let key = claim.idempotency_key();
        claim.release(conn).expect("released");
        key
    };
    let first = key(conn);
    assert!(first.ends_with("-start_work-4096"), "{first}");
    try_in_vain::<D>(conn);
    assert_eq!(key(conn), first);
    go_round::<D>(conn);
    let second = key(conn);
    assert_ne!(second, first);
    try_in_vain::<D>(conn);
    assert_eq!(key(conn), second);
    clean(conn);
}

/// What a claim reads does not grow with what a record has been through since its step last ended, or
/// was created.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub fn a_claim_of_a_step_without_an_end_reads_no_history<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let id = Round::new().create(conn).expect("created").id();
    try_in_vain::<D>(conn);
    double::<D>(conn, id, 11);
    let read = rows_read_by::<D>(conn, try_in_vain::<D>);
    assert!(read < 200, "{read} of 4,000");
    clean(conn);
}
