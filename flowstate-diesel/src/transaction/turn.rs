//! The turn of a connection to write, where the database does not queue its writers.

use super::instrument;
use crate::dialect::Dialect;
use crate::dialect::fault::{Failure, Fault};
use crate::dialect::write_queue::{Turn, Waited};
use crate::error::ConflictReason;

/// Waits for the turn of this connection.
pub(super) fn wait<C: Dialect>(conn: &mut C) -> Result<Option<Turn>, Failure> {
    ask_again(conn);
    let Some(access) = instrument::write_queue(conn) else { return Ok(None) };
    match access.queue.wait(access.patience, None) {
        Waited::Turn(turn) => Ok(Some(turn)),
        Waited::HeldByThisThread => Ok(None),
        // it has offered nothing
        Waited::Answered(_) | Waited::TimedOut => Err(timed_out()),
    }
}

pub(super) fn timed_out() -> Failure {
    let fault = Fault::conflict_with(ConflictReason::Busy);
    Failure::Noticed(fault, "other threads of this program were still writing")
}

/// Asks how the connection writes, if somebody may have changed that since it was asked.
fn ask_again<C: Dialect>(conn: &mut C) {
    if instrument::write_queue(conn).is_none_or(|access| !access.stale) {
        return;
    }
    let asked = instrument::unseen(conn, C::write_queue);
    if let (Some(access), Ok(Some(asked))) = (instrument::write_queue(conn), asked) {
        *access = asked;
    }
}

/// After a turn in which the connection has written and committed.
pub(super) fn ended<C: Dialect>(conn: &mut C) {
    if let Some(access) = instrument::write_queue(conn) {
        access.wrote = true;
    }
}
