//! Getting an answer from the database, however long it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::core::{Core, Phase};
use super::runner::{Desk, Unsettled};
use super::schedule::{FIRST_PAUSE, LONGEST_OUTAGE_PAUSE};
use super::unwind::report;
use super::visit::fault;
use crate::dialect::connection::Store;
use crate::dialect::fault::Fault;
use crate::error::unconfirmed::Unconfirmed;
use crate::error::{Error, Result};
use crate::text::chain::chain;
use crate::worker::claim::settle::{Fence, extend_all, lease};
use crate::worker::step::StepSpec;

/// So often and what the database refuses, while it answers, it refuses for good.
const MOST_REFUSALS: u32 = 5;

impl<M: ManageConnection<Connection: Store>> Desk<M::Connection> for Core<M> {
    fn insist(
        &self,
        step: &StepSpec,
        fence: &Fence,
        work: &mut dyn FnMut(&mut M::Connection) -> Result<()>,
    ) -> Result<(), Unsettled> {
        let (mut pause, mut refusals) = (FIRST_PAUSE, 0);
        loop {
            let error = match self.with(&mut *work) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match &error {
                // the fence would refuse our own commit: first find out
                Error::OutcomeUnknown(unconfirmed) => match self.resolve(unconfirmed, &mut pause) {
                    Some(true) => return Ok(()),
                    Some(false) => refusals += 1,
                    None => return Err(Unsettled::Left(error)),
                },
                // which passes, however long it takes
                error if is_outage::<M::Connection>(error) => refusals = 0,
                Error::Database { .. } if self.is_writable(step, fence) => refusals += 1,
                error if error.is_temporary() => refusals = 0,
                _ => return Err(Unsettled::Refused(error)),
            }
            if refusals >= MOST_REFUSALS {
                return Err(Unsettled::Refused(error));
            }
            report(|| {
                tracing::warn!(error = chain(&error), "the database did not answer; trying again");
            });
            if !self.outlast(&mut pause) {
                return Err(Unsettled::Left(error));
            }
        }
    }

    fn worker(&self) -> &Arc<str> {
        &self.worker
    }

    fn identity(&self) -> Arc<str> {
        self.identity.get().map(Arc::clone).unwrap_or_default()
    }

    fn set_locked(&self, fence: &Fence, locked: bool) {
        if locked {
            // from now on the user's code runs, which may take as long as it likes
            self.watch.excuse();
        }
        if let Some(held) = self.shared().held.get_mut(&fence.id)
            && held.fence.seq == fence.seq
        {
            held.locked = locked;
        }
    }
}

/// Whether the database takes nothing from anybody now.
fn is_outage<C: Store>(error: &Error) -> bool {
    matches!(fault::<C>(error), Some(Fault::Full | Fault::ReadOnly | Fault::Lost))
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Whether the database answers, and takes what is written to the claim's row: then a failure
    /// was not its own.
    pub(super) fn is_writable(&self, step: &StepSpec, fence: &Fence) -> bool {
        let leases = serde_json::json!([lease(fence, step)]).to_string();
        self.with(|conn| extend_all(conn, &self.worker, &leases)).is_ok()
    }

    /// Whether a commit without an answer has happened. `None` when the worker has given up.
    fn resolve(&self, unconfirmed: &Unconfirmed, pause: &mut Duration) -> Option<bool> {
        loop {
            match self.with(|conn| unconfirmed.resolve(conn)) {
                Ok(committed) => return Some(committed == Some(true)),
                Err(error) => {
                    report(|| {
                        tracing::warn!(
                            error = chain(&error),
                            "a commit could not be confirmed yet"
                        );
                    });
                }
            }
            if !self.outlast(pause) {
                return None;
            }
        }
    }

    /// Waits out a failure of the database. `false` when the worker has given up its claims.
    pub(super) fn outlast(&self, pause: &mut Duration) -> bool {
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
