//! Writing what a handler has come to.

use std::time::Duration;

use diesel::r2d2::ManageConnection;
use flowstate::{NextTry, StepError};

use super::handler::fail_within;
use super::run::Core;
use super::runner::{Desk as _, Done, Handled, Runner, Settled};
use crate::dialect::connection::Store;
use crate::error::{Error, Result};
use crate::text::chain::chain;
use crate::worker::claim::events;
use crate::worker::claim::release::{leave_alone, put_off};
use crate::worker::claim::settle::{self, Fence, failing};

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Settles a claim, unless its handler has.
    pub(super) fn settle(
        &self,
        runner: &dyn Runner<M::Connection>,
        fence: &Fence,
        done: Done,
    ) -> Result<Settled> {
        let settled = match done {
            Done::Settled(settled) => settled,
            Done::Handled(Handled::Finished(outcome)) => {
                let step = runner.step();
                let finished = self.insist(step, fence, &mut |conn| {
                    settle::finish(conn, step, fence, outcome.clone())
                });
                match finished {
                    Ok(()) => Settled::Finished,
                    Err(unsettled) => self.fail(runner, fence, unsettled.failure()?)?,
                }
            }
            Done::Handled(Handled::Failed(error)) => self.fail(runner, fence, error)?,
            Done::Handled(Handled::Unreadable(error)) => self.leave_alone(runner, fence, error)?,
        };
        events::settled(runner.step(), fence, &settled);
        Ok(settled)
    }

    pub(super) fn fail(
        &self,
        runner: &dyn Runner<M::Connection>,
        fence: &Fence,
        error: StepError,
    ) -> Result<Settled> {
        let step = runner.step();
        if let NextTry::NotYet(pause) = error.next_try() {
            self.insist(step, fence, &mut |conn| put_off(conn, step, fence, pause))?;
            return Ok(Settled::PutOff);
        }
        self.insist(step, fence, &mut |conn| {
            if runner.ends_within() {
                return fail_within(runner, conn, fence, &error);
            }
            settle::end(conn, step, fence, &settle::fail_plan(step, fence, &error)?)
        })?;
        let next = failing(step, fence.attempts, error.next_try()).next;
        Ok(Settled::Failed { error, next })
    }

    /// Leaves a record to those who can read it: another version of the program, which may run
    /// beside this one.
    fn leave_alone(
        &self,
        runner: &dyn Runner<M::Connection>,
        fence: &Fence,
        error: Error,
    ) -> Result<Settled> {
        let step = runner.step();
        let why = chain(&error);
        self.insist(step, fence, &mut |conn| leave_alone(conn, step, fence, LEFT_ALONE, &why))?;
        Ok(Settled::LeftAlone(error))
    }
}

/// So long a record that this program cannot read is not due.
const LEFT_ALONE: Duration = Duration::from_secs(30);
