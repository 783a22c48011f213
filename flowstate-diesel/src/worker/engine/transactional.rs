//! Running a handler that writes to the database: in the transaction that finishes the step.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use flowstate::{Claim, Signals, Step, StepError};

use super::handler::{
    Undone, encode, finish_in, lease_lost, new_claim, of_the_handler, panicked,
    settle_in_transaction, undone,
};
use super::runner::{Desk, Done, Handled, Runner};
use crate::dialect::rows::{ClaimedRow, FlowRow};
use crate::dialect::{Dialect, Waits};
use crate::error::{RecordRef, Result};
use crate::metrics;
use crate::transaction;
use crate::transaction::scope::Hook;
use crate::transaction::swallowed;
use crate::worker::claim::settle::{Fence, lock_held};
use crate::worker::claim::{load, read_record};
use crate::worker::step::StepSpec;

/// A step whose handler writes in the finishing transaction.
pub(crate) struct Transactional<S, H> {
    pub(crate) step: Arc<StepSpec>,
    pub(crate) handler: Arc<H>,
    pub(crate) types: PhantomData<fn() -> S>,
}

impl<C, S, H> Runner<C> for Transactional<S, H>
where
    C: Dialect,
    S: Step,
    H: Fn(&Claim<S>, S::Loads, &mut C) -> Result<S::Outcome, StepError> + Send + Sync,
{
    fn step(&self) -> &Arc<StepSpec> {
        &self.step
    }

    fn run(&self, claimed: ClaimedRow, signals: Signals, desk: &dyn Desk<C>) -> Result<Done> {
        let fence = Fence::of(&claimed.row, desk.worker());
        let claim =
            catch_unwind(AssertUnwindSafe(|| new_claim(&self.step, claimed, signals, desk)));
        let claim = match claim {
            Ok(Ok(claim)) => claim,
            Ok(Err(error)) => return of_the_handler(error).map(Done::Handled),
            Err(panic) => return Ok(Done::Handled(Handled::Failed(panicked(&*panic)))),
        };
        settle_in_transaction(&self.step, &fence, desk, &mut |conn, hooks| {
            self.once(conn, &claim, &fence, desk, hooks)
        })
    }

    fn read(&self, row: FlowRow, conn: &mut C) -> Result<()> {
        read_record::<S, C>(conn, row)
    }

    fn locks_first(&self) -> bool {
        true
    }

    fn ends_within(&self) -> bool {
        false
    }

    fn fail_over(&self, _: FlowRow, _: &StepError, _: bool, _: &mut C) -> Result<()> {
        Ok(())
    }
}

impl<S: Step, H> Transactional<S, H> {
    /// One transaction: lock, hold against the fence, handler, finish.
    fn once<C>(
        &self,
        conn: &mut C,
        claim: &Claim<S>,
        fence: &Fence,
        desk: &dyn Desk<C>,
        hooks: &mut Vec<Hook>,
    ) -> Result<(), Undone>
    where
        C: Dialect,
        H: Fn(&Claim<S>, S::Loads, &mut C) -> Result<S::Outcome, StepError>,
    {
        let record = RecordRef::of::<S::Flow>(fence.id);
        transaction::run_closures_before_hooks(conn, Waits::AsSet, hooks, &mut |conn| {
            if lock_held(conn, &self.step, fence)?.is_none() {
                return Err(lease_lost(&self.step, record).into());
            }
            desk.set_locked(fence, true);
            let loads = load::<S, C>(conn, fence.id)?;
            let StepSpec { flow, name, .. } = *self.step;
            let outcome = metrics::timed(flow, name, || (self.handler)(claim, loads, conn));
            let outcome = outcome.map_err(|error| undone::<C>(record, error))?;
            swallowed::refuse(conn)?;
            finish_in(conn, &self.step, fence, encode::<S>(&outcome, record))
        })
    }
}
