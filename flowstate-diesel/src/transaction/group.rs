//! Group commit: whoever has the turn to write also writes the plain changes and creations of others
//! who wait for theirs, in one transaction. On SQLite, where a COMMIT costs more than what is committed.
//!
//! Nobody is told of a commit before it has happened. If anything fails, the one who has the turn
//! rolls everything back and does its own alone, and so does each of the others: whatever is refused,
//! missing or in conflict is met where it always is, in a transaction of its own.

use diesel::QueryResult;

use super::explain::conflict;
use super::instrument;
use super::open::Open;
use super::retry::Tries;
use super::scope;
use super::scope::{Doom, Position};
use super::turn;
use crate::dialect::Dialect;
use crate::dialect::change::Change;
use crate::dialect::fault::Failure;
use crate::dialect::write_queue::{Answer, Offer, Offered, Turn, Waited, Written};
use crate::error::unconfirmed::{Mark, Unconfirmed};
use crate::error::{ConflictReason, Error, Result};

/// Whether another thread that has the turn may write a change of this connection, which would have
/// to wait. If it need not, it is its turn, which is put into `ours`: whoever waited for it later
/// without an offer would keep the offers behind from being taken.
///
/// The connection must have shown that it can write by itself: of one that is read-only, or has a
/// transaction open that was begun by hand, nobody else may write anything.
pub(crate) fn can_offer<C: Dialect>(conn: &mut C, ours: &mut Option<Turn>) -> bool {
    if !matches!(scope::position(conn), Ok(Position::Outside)) {
        return false;
    }
    let Some(access) = instrument::write_queue(conn) else { return false };
    if !access.wrote || access.stale || access.manner.is_none() {
        return false;
    }
    *ours = access.queue.at_once();
    ours.is_none()
}

/// Waits until another thread has written what has this mark, or it is our turn, which is put into
/// `ours`. `None` if it is left to us.
pub(crate) fn offer<C: Dialect>(
    conn: &mut C,
    mark: &Mark,
    ours: &mut Option<Turn>,
    what: Offered,
) -> Result<Option<Written>> {
    let Some(access) = instrument::write_queue(conn) else { return Ok(None) };
    let Some(manner) = access.manner.clone() else { return Ok(None) };
    let mut tries = Tries::start();
    match access.queue.wait(access.patience, Some(Offer { what, manner })) {
        Waited::Answered(Answer::Written(written)) => Ok(Some(written)),
        Waited::Answered(Answer::InDoubt(source, written)) => {
            let mut mark = mark.clone();
            if let Written::Created(row) = written {
                mark.record.id = Some(row.id);
            }
            Err(Error::OutcomeUnknown(Box::new(Unconfirmed::new(Some(mark), source))))
        }
        Waited::Answered(Answer::Unwritten) | Waited::HeldByThisThread => Ok(None),
        Waited::Turn(turn) => {
            *ours = Some(turn);
            Ok(None)
        }
        Waited::TimedOut if tries.again() => Ok(None),
        Waited::TimedOut => {
            let (reason, source) = (ConflictReason::Busy, turn::timed_out().into_source());
            let doom = Doom { record: Some(mark.record), reason, source };
            Err(conflict(doom, false, tries.made, tries.waited()))
        }
    }
}

/// Writes what others offer, in the transaction of ours that is about to be committed. After a failure
/// it has to be rolled back.
pub(super) fn write_offers<C: Dialect>(open: &mut Open<'_, C>) -> Result<(), Failure> {
    let Some(turn) = &mut open.turn else { return Ok(()) };
    let manner = instrument::write_queue(open.conn).and_then(|access| access.manner.clone());
    turn.linger();
    let Some(manner) = manner.filter(|manner| turn.has_offers(manner)) else { return Ok(()) };
    // they may ask who writes
    if open.conn.has_triggers()? {
        return Ok(());
    }
    while let Some(offered) = turn.take(&manner) {
        let written = write(offered, open.conn)?;
        turn.note(written);
    }
    Ok(())
}

/// Writes an offer. `None` if the row has moved on.
fn write<C: Dialect>(offered: &Offered, conn: &mut C) -> QueryResult<Option<Written>> {
    match offered {
        Offered::Change { plan, before, born } => {
            let change = Change { born: *born, ..plan.change(*before, None) };
            Ok(conn.write(&change)?.map(Written::Moved))
        }
        Offered::Creation(creation) => Ok(conn.insert(&creation.new_flow())?.map(Written::Created)),
    }
}
