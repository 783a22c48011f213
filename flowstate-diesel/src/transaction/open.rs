//! One open transaction or savepoint, rolled back on every way out.

use diesel::connection::TransactionManager;
use flowstate::TransactionOutcome;

use super::instrument;
use super::scope::{Entered, Position};
use crate::dialect::Dialect;
use crate::dialect::fault::Failure;
use crate::dialect::write_queue::Turn;

/// Whose code runs in a transaction. Code of others may go on after a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Ours,
    /// Ours, which only reads.
    Reading,
    /// Closures of others, followed by a statement of ours.
    Closures,
    Others,
}

/// An open transaction or savepoint. Rolled back when dropped, unless committed: Diesel itself
/// leaves it open on a panic.
pub(super) struct Open<'c, C: Dialect> {
    pub(super) conn: &'c mut C,
    pub(super) depth: u32,
    pub(super) code: Code,
    pub(super) outcome: TransactionOutcome,
    /// Its beginning is marked, because nobody sees which statements fail in it.
    pub(super) marked: bool,
    ended: bool,
    /// Let go after the end.
    turn: Option<Turn>,
    /// What the closure of the caller has gathered so far, if it panics: dropped after the rollback.
    pub(super) entered: Option<Entered>,
}

impl<'c, C: Dialect> Open<'c, C> {
    pub(super) fn begin(conn: &'c mut C, position: &Position, code: Code) -> Result<Self, Failure> {
        let mut turn = None;
        let outcome = match position {
            Position::Outside => {
                if code != Code::Reading {
                    turn = instrument::turn(conn)?;
                }
                match code {
                    Code::Reading => conn.begin_reading()?,
                    Code::Ours => conn.begin()?,
                    Code::Closures | Code::Others => conn.begin_for_others()?,
                }
                instrument::began(conn);
                TransactionOutcome::default()
            }
            Position::Ended => return Err(diesel::result::Error::NotInTransaction.into()),
            Position::Inside { outcome, .. } => {
                C::TransactionManager::begin_transaction(conn)?;
                outcome.nested()
            }
        };
        let depth = conn.depth()?;
        let marked = depth == 1 && code != Code::Ours && !instrument::is_watching(conn);
        let open = Self { conn, depth, code, outcome, marked, ended: false, turn, entered: None };
        if marked {
            open.conn.mark_beginning()?;
        }
        Ok(open)
    }

    pub(super) fn commit(mut self) -> diesel::QueryResult<()> {
        let committed = match (self.depth, self.code) {
            (1, Code::Ours | Code::Reading) => self.conn.commit(),
            (1, Code::Closures | Code::Others) => self.conn.commit_for_others(),
            _ => C::TransactionManager::commit_transaction(self.conn),
        };
        if self.depth == 1 {
            instrument::ended(self.conn);
        }
        // a failed top-level COMMIT has been rolled back; a failed RELEASE has not
        self.ended = committed.is_ok() || self.depth == 1;
        if committed.is_ok() {
            self.outcome.set_committed();
        } else {
            self.outcome.set_rolled_back();
        }
        // the next one writes meanwhile
        let had_turn = self.turn.take().is_some();
        if had_turn && committed.is_ok() {
            instrument::checkpoint(self.conn);
        }
        committed
    }
}

impl<C: Dialect> Drop for Open<'_, C> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.outcome.set_rolled_back();
        // a panic inside `conn.transaction` has left its savepoint open too
        while let Ok(depth) = self.conn.depth()
            && depth >= self.depth
        {
            if let Err(error) = self.conn.roll_back() {
                // the database has rolled back already, or the connection is lost and Diesel knows
                tracing::debug!(%error, "rollback failed");
                // of a savepoint that is gone; what it was in is still to be rolled back
                if !self.conn.depth().is_ok_and(|now| now < depth) {
                    break;
                }
            }
        }
        // the closure round it goes on, and must not be taken for one outside a transaction
        if self.conn.depth().is_ok_and(|depth| depth == 0) {
            self.conn.set_depth(self.depth - 1);
        }
        if matches!(self.code, Code::Closures | Code::Others) {
            self.conn.close();
        }
        drop(self.turn.take());
        drop(self.entered.take());
    }
}
