//! Getting an answer from the database, however long it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::handler::Desk;
use super::run::{Core, FIRST_PAUSE, LONGEST_OUTAGE_PAUSE, Phase};
use super::settle::Fence;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::unconfirmed::Unconfirmed;

/// What came of a failure of the database.
enum Answer {
    Committed(bool),
    Again,
}

impl<M: ManageConnection<Connection: Store>> Desk<M::Connection> for Core<M> {
    fn insist(&self, work: &mut dyn FnMut(&mut M::Connection) -> Result<()>) -> Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.with(&mut *work) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let answered = match &error {
                // the fence would refuse our own commit: first find out
                Error::OutcomeUnknown(unconfirmed) => {
                    self.resolve(unconfirmed, &mut pause).map(Answer::Committed)
                }
                error if error.is_temporary() => self.outlast(&mut pause).then_some(Answer::Again),
                _ => None,
            };
            match answered {
                Some(Answer::Committed(true)) => return Ok(()),
                Some(_) => tracing::warn!(%error, "the database did not answer; trying again"),
                None => return Err(error),
            }
        }
    }

    fn worker(&self) -> &Arc<str> {
        &self.worker
    }

    fn set_locked(&self, fence: Fence, locked: bool) {
        if let Some(held) = self.shared().held.get_mut(&fence.id)
            && held.fence.seq == fence.seq
        {
            held.locked = locked;
        }
    }
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Whether a commit without an answer has happened. `None` when the worker has given up.
    fn resolve(&self, unconfirmed: &Unconfirmed, pause: &mut Duration) -> Option<bool> {
        loop {
            match self.with(|conn| unconfirmed.resolve(conn)) {
                Ok(committed) => return Some(committed == Some(true)),
                Err(error) => tracing::warn!(%error, "a commit could not be confirmed yet"),
            }
            if !self.outlast(pause) {
                return None;
            }
        }
    }

    /// Waits out a failure of the database. `false` when the worker has given up its claims.
    fn outlast(&self, pause: &mut Duration) -> bool {
        let until = Instant::now() + *pause;
        *pause = (*pause * 2).min(LONGEST_OUTAGE_PAUSE);
        let mut shared = self.shared();
        while shared.phase < Phase::Abandoned {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            shared = self.wait(shared, left);
        }
        false
    }
}
