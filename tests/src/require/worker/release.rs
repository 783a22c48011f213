//! A claim that is given back leaves the record where it was.

use std::sync::Arc;
use std::time::Duration;

use flowstate_diesel::{Worker, claim_next, prelude::*};

use crate::check::clean;
use crate::flows::{Letter, LetterState};
use crate::gate::Gate;
use crate::steps::{due_together, leased};
use crate::{Database, send_step};

/// Whatever a failed try does, a released record is back in the state from which it was claimed, and
/// can be claimed at once. The try does not count.
pub fn a_released_record_is_where_it_was<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut letter = Letter {}.create(conn).expect("created");
    let claim = claim_next(send_step!(), conn).expect("no error").expect("a claim");
    let key = claim.idempotency_key();
    claim.release(conn).expect("released");
    letter.reload(conn).expect("read");
    assert_eq!((letter.state(), letter.attempt(), letter.seq()), (LetterState::Queued, 1, 2));
    assert!(letter.due_at().is_some());
    let history = letter.history(conn).expect("the history");
    let last = history.last().expect("a row");
    assert_eq!((last.from.as_deref(), &*last.to), (Some("sending"), "queued"));
    assert!(last.error.is_some(), "{last:?}");
    clean(conn);

    // from a state of failure, with its attempts and its deadline
    let claim = claim_next(send_step!(), conn).expect("no error").expect("a claim");
    assert_eq!(claim.idempotency_key(), key);
    claim.fail("no", conn).expect("failed");
    letter.reload(conn).expect("read");
    let errored = letter.last_errored_at();
    assert!(errored.is_some());
    let claim = claim_next(send_step!(), conn).expect("no error").expect("a claim");
    assert_eq!((claim.attempt(), claim.idempotency_key()), (2, key));
    claim.release(conn).expect("released");
    letter.reload(conn).expect("read");
    assert_eq!((letter.state(), letter.attempt()), (LetterState::Bounced, 2));
    assert!(letter.last_errored_at().is_some());
    let timed = "SELECT COUNT(*) FROM flowstate_flows WHERE deadline_at IS NOT NULL";
    assert_eq!(D::number(conn, timed), 1);
    clean(conn);
}

/// A record is there after its release, though the last failed try destroys it.
pub fn a_released_record_is_not_destroyed<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    let mut letter = Letter {}.create(conn).expect("created");
    let claim = claim_next(send_step!(), conn).expect("no error").expect("a claim");
    claim.release(conn).expect("released");
    letter.reload(conn).expect("it is there");
    assert_eq!((letter.state(), letter.completed_at()), (LetterState::Queued, None));
    assert!(claim_next(send_step!(), conn).expect("no error").is_some());
    clean(conn);
}

/// A shutdown puts back what runs and what waits, to where it was claimed from.
pub fn a_shutdown_puts_records_back_where_they_were<D: Database>() {
    let database = D::migrated();
    let conn = &mut database.connect();
    for _ in 0..3 {
        Letter {}.create(conn).expect("created");
    }
    due_together(conn);
    let gate = Gate::new();
    let running = Worker::new(database.pool(1))
        .step(send_step!().batch(3), {
            let gate = Arc::clone(&gate);
            move |_, ()| {
                gate.pass();
                Ok(())
            }
        })
        .start()
        .expect("started");
    gate.wait_for(1);
    let stats = running.shutdown(Duration::from_millis(50)).expect("stopped");
    assert_eq!((stats.released, stats.running), (3, 0));
    gate.open();
    let queued = "SELECT COUNT(*) FROM flowstate_flows WHERE state = 'queued' AND attempts = 0";
    assert_eq!(D::number(conn, queued), 3);
    for _ in 0..3 {
        assert!(claim_next(send_step!(), conn).expect("no error").is_some());
    }
    assert_eq!(leased::<D>(conn), 3);
    clean(conn);
}
