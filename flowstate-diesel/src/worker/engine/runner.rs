//! What the engine knows of a step's handler: neither the user's types nor their code.

use std::sync::Arc;

use flowstate::{Signals, StepError};

use crate::dialect::rows::{ClaimedRow, FlowRow};
use crate::error::{Error, Result};
use crate::worker::claim::settle::{Fence, Outcome, Settled};
use crate::worker::step::StepSpec;

/// A step with its handler, without types.
pub(crate) trait Runner<C>: Send + Sync {
    fn step(&self) -> &Arc<StepSpec>;

    /// Runs the handler. What it comes to is still to be settled, unless the handler writes to the
    /// database itself.
    fn run(&self, claimed: ClaimedRow, signals: Signals, desk: &dyn Desk<C>) -> Result<Done>;

    /// Reads what the handler would be given of a record that is not claimed.
    fn read(&self, row: FlowRow, conn: &mut C) -> Result<()>;

    /// Whether the handler begins under the row's lock, where its claim is held against the row.
    fn locks_first(&self) -> bool;

    /// Whether a part of the user's runs in the transaction that ends a try.
    fn ends_within(&self) -> bool;

    /// The user's part of failing a try over, in the transaction that does, on the row under its
    /// lock. `last`: whether no further try follows.
    fn fail_over(&self, row: FlowRow, error: &StepError, last: bool, conn: &mut C) -> Result<()>;
}

/// The end of a handler's run.
pub(crate) enum Done {
    /// It is still to be written.
    Handled(Handled),
    /// It is written.
    Settled(Settled),
}

/// The value that a handler has returned, without its type.
#[derive(Debug)]
pub(crate) enum Handled {
    Finished(Outcome),
    /// With this error, which says too whether it is only too early.
    Failed(StepError),
    /// Nothing: this program cannot read what it would need. The record is left to one that can.
    Unreadable(Error),
}

/// Where runners get their connections.
pub(crate) trait Desk<C> {
    /// Runs `work` for a claim on a pooled connection, again and again until the database has
    /// answered.
    fn insist(
        &self,
        step: &StepSpec,
        fence: &Fence,
        work: &mut dyn FnMut(&mut C) -> Result<()>,
    ) -> Result<(), Unsettled>;

    fn worker(&self) -> &Arc<str>;

    /// What begins the idempotency keys of this database.
    fn identity(&self) -> Arc<str>;

    /// Says whether the row's lock holds a claim.
    fn set_locked(&self, fence: &Fence, locked: bool);
}

/// Why the database did not do what a claim needs.
#[derive(Debug)]
pub(crate) enum Unsettled {
    /// It has answered: asking again would not help.
    Refused(Error),
    /// It has not answered, and the worker has given up its claims.
    Left(Error),
}

impl Unsettled {
    /// What the step has failed with, if that is to be told.
    pub(crate) fn failure(self) -> Result<StepError> {
        match self {
            Self::Refused(error @ Error::LeaseLost { .. }) | Self::Left(error) => Err(error),
            Self::Refused(error) => Ok(error.into()),
        }
    }
}

impl From<Unsettled> for Error {
    fn from(unsettled: Unsettled) -> Self {
        match unsettled {
            Unsettled::Refused(error) | Unsettled::Left(error) => error,
        }
    }
}
