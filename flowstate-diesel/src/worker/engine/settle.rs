//! Settling what handlers return.

use diesel::r2d2::ManageConnection;

use super::run::Core;
use super::runner::{Desk as _, Ran};
use crate::dialect::connection::Store;
use crate::error::Result;
use crate::worker::claim::events;
use crate::worker::claim::settle;
use crate::worker::claim::settle::{End, Fence};
use crate::worker::step::StepSpec;

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Finished,
    Failed,
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Writes how a claim has ended. A finish that the database refuses is a failed try.
    pub(super) fn settle(&self, step: &StepSpec, fence: &Fence, ran: Ran) -> Result<Settled> {
        let failed = match ran {
            Ran::Committed => None,
            Ran::Ended(end @ End::Finish { .. }) => match self.write_end(step, fence, end)? {
                Ok(()) => None,
                Err(refused) => Some(refused),
            },
            Ran::Ended(End::Fail(error)) => Some(error),
        };
        let Some(error) = failed else {
            events::finished(step, fence);
            return Ok(Settled::Finished);
        };
        let plan = settle::fail_plan(step, fence, &error)?;
        self.insist(step, fence, &mut |conn| settle::end(conn, step, fence, &plan))?;
        events::failed(step, fence, &error);
        Ok(Settled::Failed)
    }

    fn write_end(
        &self,
        step: &StepSpec,
        fence: &Fence,
        end: End,
    ) -> Result<Result<(), flowstate::StepError>> {
        let plan = settle::end_plan(step, fence, end)?;
        match self.insist(step, fence, &mut |conn| settle::end(conn, step, fence, &plan)) {
            Ok(()) => Ok(Ok(())),
            Err(unsettled) => unsettled.failure().map(Err),
        }
    }
}
