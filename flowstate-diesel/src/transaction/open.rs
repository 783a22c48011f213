//! One open transaction or savepoint, rolled back on every way out.

use diesel::connection::TransactionManager;
use flowstate::TransactionOutcome;

use super::instrument;
use super::scope::{Entered, Position};
use super::turn;
use crate::dialect::fault::{Failure, copy};
use crate::dialect::write_queue::{End, Turn};
use crate::dialect::{Dialect, Waits};
use crate::text::chain::chain;

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
    waits: Waits,
    pub(super) outcome: TransactionOutcome,
    /// Its beginning is marked, because nobody sees which statements fail in it.
    pub(super) marked: bool,
    ended: bool,
    /// Let go after the end.
    pub(super) turn: Option<Turn>,
    /// What the closure of the caller has gathered so far, if it panics: dropped after the rollback.
    pub(super) entered: Option<Entered>,
}

impl<'c, C: Dialect> Open<'c, C> {
    /// `turn`: to write, if it was waited for already.
    pub(super) fn begin(
        conn: &'c mut C,
        position: &Position,
        (code, waits): (Code, Waits),
        mut turn: Option<Turn>,
    ) -> Result<Self, Failure> {
        let outcome = match position {
            Position::Outside => {
                if code != Code::Reading && turn.is_none() {
                    turn = turn::wait(conn)?;
                }
                match code {
                    Code::Reading => conn.begin_reading()?,
                    Code::Ours | Code::Closures | Code::Others => conn.begin(waits)?,
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
        let (ended, entered) = (false, None);
        let open = Self { conn, depth, code, waits, outcome, marked, ended, turn, entered };
        if marked {
            open.conn.mark_beginning()?;
        }
        Ok(open)
    }

    pub(super) fn commit(mut self) -> diesel::QueryResult<()> {
        self.turn.iter_mut().for_each(Turn::commits);
        let committed = if self.depth == 1 {
            self.conn.commit(self.waits)
        } else {
            C::TransactionManager::commit_transaction(self.conn)
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
        let Some(mut turn) = self.turn.take() else { return committed };
        turn.ended(match &committed {
            Ok(()) => End::Committed,
            Err(error) if C::classify(error).leaves_commit_in_doubt() => End::InDoubt(copy(error)),
            Err(_) => End::RolledBack,
        });
        drop(turn);
        if committed.is_ok() {
            turn::ended(self.conn);
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
        let mut undone = false;
        // a panic inside `conn.transaction` has left its savepoint open too
        while let Ok(depth) = self.conn.depth()
            && depth >= self.depth
        {
            let rolled_back = self.conn.roll_back();
            undone = rolled_back.is_ok();
            if let Err(error) = rolled_back {
                // the database has rolled back already, or the connection is lost and Diesel knows
                tracing::debug!(error = chain(&error), "rollback failed");
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
        if self.depth == 1 {
            self.conn.close(self.waits);
        }
        if undone && let Some(turn) = &mut self.turn {
            turn.ended(End::RolledBack);
        }
        drop(self.turn.take());
        drop(self.entered.take());
    }
}
