//! What the engine knows of a step's handler: a claim goes in, and how it is to end comes out.

use std::sync::Arc;

use crate::dialect::rows::ClaimedRow;
use crate::error::{Error, Result};
use crate::worker::claim::settle::{End, Fence};
use crate::worker::step::StepSpec;
use crate::worker::step::error::StepError;

/// A step with its handler, without types.
pub(crate) trait Runner<C>: Send + Sync {
    fn step(&self) -> &Arc<StepSpec>;

    /// Runs the handler on a claim. It settles nothing, but for a transactional one, whose own
    /// transaction takes the finish.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], or what kept the worker from finding out before it gave up: either way
    /// there is nothing to settle.
    fn run(&self, claimed: ClaimedRow, desk: &dyn Desk<C>) -> Result<Ran>;
}

/// What is left to do after a handler.
#[derive(Debug)]
pub(crate) enum Ran {
    /// The claim is to end so.
    Ended(End),
    /// Nothing: the handler's own transaction has taken the finish.
    Committed,
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
