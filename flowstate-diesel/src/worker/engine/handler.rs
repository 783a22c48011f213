//! Running a user's handler on a claim: types in, what it came to out.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use flowstate::{ArtefactSet, Claim, Hold, Record, Signals, Step, StepEnd, StepError};

use super::runner::{Desk, Done, Handled, Runner, Unsettled};
use crate::dialect::fault::{Fault, copy};
use crate::dialect::rows::{ClaimedRow, FlowRow};
use crate::dialect::{Dialect, Waits};
use crate::error::{Error, RecordRef, Result};
use crate::metrics;
use crate::text::chain::causes;
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::hooks::{panic_text, run_hooks};
use crate::transaction::scope::Hook;
use crate::transaction::swallowed;
use crate::transition::apply::write;
use crate::transition::artefacts::newest_artefact;
use crate::transition::decode;
use crate::transition::typed::{Decoder, Encoder};
use crate::worker::claim::read_record;
use crate::worker::claim::settle::{
    Fence, Outcome, Settled, fail_plan, failing, finish_plan, lock_held, standing,
};
use crate::worker::step::StepSpec;

/// A step whose handler holds neither a lock nor a connection, with the user's part of its end, if it
/// has one.
pub(crate) struct Plain<S, H, E> {
    pub(crate) step: Arc<StepSpec>,
    /// The handler, and the user's part of the end.
    pub(crate) parts: Arc<(H, E)>,
    pub(crate) types: PhantomData<fn() -> S>,
}

/// What a handler returned with its claim; or what the claim comes to without that.
type Tried<S> = Result<(Claim<S>, <S as Step>::Outcome), Handled>;

/// The user's part of the transaction that ends a step.
pub(crate) trait End<S: Step, C>: Send + Sync {
    /// Whether there is none.
    const NONE: bool;

    fn end(
        &self,
        record: &Record<S::Flow>,
        end: &StepEnd<'_, S>,
        conn: &mut C,
    ) -> Result<(), StepError>;
}

/// No part: the handler's result is all.
pub(crate) struct NoEnd;

impl<S: Step, C> End<S, C> for NoEnd {
    const NONE: bool = true;

    fn end(&self, _: &Record<S::Flow>, _: &StepEnd<'_, S>, _: &mut C) -> Result<(), StepError> {
        Ok(())
    }
}

impl<S, C, W> End<S, C> for W
where
    S: Step,
    W: Fn(&Record<S::Flow>, &StepEnd<'_, S>, &mut C) -> Result<(), StepError> + Send + Sync,
{
    const NONE: bool = false;

    fn end(
        &self,
        record: &Record<S::Flow>,
        end: &StepEnd<'_, S>,
        conn: &mut C,
    ) -> Result<(), StepError> {
        self(record, end, conn)
    }
}

impl<C, S, H, E> Runner<C> for Plain<S, H, E>
where
    C: Dialect,
    S: Step,
    H: Fn(&Claim<S>, S::Loads) -> Result<S::Outcome, StepError> + Send + Sync,
    E: End<S, C>,
{
    fn step(&self) -> &Arc<StepSpec> {
        &self.step
    }

    fn run(&self, claimed: ClaimedRow, signals: Signals, desk: &dyn Desk<C>) -> Result<Done> {
        let fence = Fence::of(&claimed.row, desk.worker());
        // the user's code is the handler, and what reads and writes the user's types
        let handled =
            catch_unwind(AssertUnwindSafe(|| self.handle(claimed, &fence, signals, desk)));
        let handled =
            handled.unwrap_or_else(|panic| Ok(Err(Handled::Failed(panicked(&*panic)))))?;
        let (claim, outcome) = match handled {
            Ok((claim, outcome)) if !E::NONE => (claim, outcome),
            Ok((_, outcome)) => {
                return Ok(Done::Handled(encode::<S>(
                    &outcome,
                    RecordRef::of::<S::Flow>(fence.id),
                )));
            }
            Err(handled) => return Ok(Done::Handled(handled)),
        };
        self.end_within(&claim, &outcome, &fence, desk)
    }

    fn read(&self, row: FlowRow, conn: &mut C) -> Result<()> {
        read_record::<S, C>(conn, row)
    }

    fn locks_first(&self) -> bool {
        false
    }

    fn ends_within(&self) -> bool {
        !E::NONE
    }

    fn fail_over(&self, row: FlowRow, error: &StepError, last: bool, conn: &mut C) -> Result<()> {
        if E::NONE {
            return Ok(());
        }
        let record = RecordRef::of::<S::Flow>(row.id);
        let flow = Record::new(decode::decode::<S::Flow>(row, None)?);
        let end = if last { StepEnd::GaveUp(error) } else { StepEnd::Failed(error) };
        let ended = catch_unwind(AssertUnwindSafe(|| self.parts.1.end(&flow, &end, conn)));
        let ended = ended.unwrap_or_else(|panic| Err(panicked(&*panic)));
        ended.map_err(|error| refused_end(&self.step, record, &error))?;
        swallowed::refuse(conn)
    }
}

impl<S: Step, H, E> Plain<S, H, E>
where
    H: Fn(&Claim<S>, S::Loads) -> Result<S::Outcome, StepError>,
{
    fn handle<C: Dialect>(
        &self,
        claimed: ClaimedRow,
        fence: &Fence,
        signals: Signals,
        desk: &dyn Desk<C>,
    ) -> Result<Tried<S>> {
        let claim = match new_claim(&self.step, claimed, signals, desk) {
            Ok(claim) => claim,
            Err(error) => return unreadable(error).map(Err),
        };
        let loads = match read_loads::<S, C>(desk, &self.step, fence) {
            Ok(loads) => loads,
            Err(Unsettled::Refused(error)) if error.is_unreadable() => {
                return Ok(Err(Handled::Unreadable(error)));
            }
            Err(unsettled) => return unsettled.failure().map(|error| Err(Handled::Failed(error))),
        };
        let StepSpec { flow, name, .. } = *self.step;
        let outcome = metrics::timed(flow, name, || (self.parts.0)(&claim, loads));
        Ok(outcome.map(|outcome| (claim, outcome)).map_err(Handled::Failed))
    }
}

/// Why a transactional try ended without a commit.
pub(super) enum Undone {
    Ours(Error),
    Handler(StepError),
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl<S: Step, H, E> Plain<S, H, E> {
    /// Runs the user's part of a good end, in the transaction that finishes the step.
    fn end_within<C: Dialect>(
        &self,
        claim: &Claim<S>,
        outcome: &S::Outcome,
        fence: &Fence,
        desk: &dyn Desk<C>,
    ) -> Result<Done>
    where
        E: End<S, C>,
    {
        let record = RecordRef::of::<S::Flow>(fence.id);
        settle_in_transaction(&self.step, fence, desk, &mut |conn, hooks| {
            transaction::run_closures_before_hooks(conn, Waits::AsSet, hooks, &mut |conn| {
                if lock_held(conn, &self.step, fence)?.is_none() {
                    return Err(Undone::Ours(lease_lost(&self.step, record)));
                }
                desk.set_locked(fence, true);
                let end = self.parts.1.end(claim, &StepEnd::Finished(outcome), conn);
                end.map_err(|error| undone::<C>(record, error))?;
                swallowed::refuse(conn)?;
                finish_in(conn, &self.step, fence, encode::<S>(outcome, record))
            })
        })
    }
}

/// What a handler's error undoes: one that comes from a database that is away costs no try.
pub(super) fn undone<C: Dialect>(record: RecordRef, error: StepError) -> Undone {
    let away = causes(error.source()).find_map(|cause| {
        let cause = cause.downcast_ref::<diesel::result::Error>()?;
        let fault = C::classify(cause);
        matches!(fault, Fault::Full | Fault::ReadOnly | Fault::Lost).then(|| copy(cause))
    });
    match away {
        Some(source) => Undone::Ours(Error::Database { record: Some(record), source }),
        None => Undone::Handler(error),
    }
}

/// One transaction in which the user's code runs; its hooks are left for later.
type Once<'o, C> = &'o mut dyn FnMut(&mut C, &mut Vec<Hook>) -> Result<(), Undone>;

/// Settles a claim by a transaction in which the user's code runs.
pub(super) fn settle_in_transaction<C: Dialect>(
    step: &StepSpec,
    fence: &Fence,
    desk: &dyn Desk<C>,
    once: Once<'_, C>,
) -> Result<Done> {
    let (mut failed, mut hooks) = (None, Vec::new());
    let settled = desk.insist(step, fence, &mut |conn| {
        // the connection is taken inside what is unwound, and rolled back on the way out
        let tried = catch_unwind(AssertUnwindSafe(|| once(conn, &mut hooks)));
        desk.set_locked(fence, false);
        failed = match tried {
            Ok(Ok(())) => None,
            Ok(Err(Undone::Ours(error))) => Some(of_the_handler(error)?),
            Ok(Err(Undone::Handler(error))) => Some(Handled::Failed(error)),
            Err(panic) => Some(Handled::Failed(panicked(&*panic))),
        };
        Ok(())
    });
    // by now the connection is back in the pool, where they may want it
    run_hooks(hooks);
    let failed = match settled {
        Ok(()) => failed,
        Err(unsettled) => Some(Handled::Failed(unsettled.failure()?)),
    };
    Ok(failed.map_or(Done::Settled(Settled::Finished), Done::Handled))
}

/// Takes the transitions of an outcome, in the transaction that is open and has locked the row.
pub(super) fn finish_in<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    handled: Handled,
) -> Result<(), Undone> {
    let outcome = match handled {
        Handled::Finished(outcome) => outcome,
        Handled::Failed(error) => return Err(Undone::Handler(error)),
        Handled::Unreadable(error) => return Err(Undone::Ours(error)),
    };
    let plan = finish_plan(step, fence, outcome)?;
    match write(conn, &plan.change(standing(step, fence), None))? {
        Some(_) => Ok(()),
        None => Err(plan.lease_lost().into()),
    }
}

/// Fails a try in one transaction with the user's part of that, whose hooks are left for later.
pub(crate) fn fail_within<C: Dialect>(
    runner: &dyn Runner<C>,
    conn: &mut C,
    hooks: &mut Vec<Hook>,
    fence: &Fence,
    error: &StepError,
) -> Result<()> {
    let step = runner.step();
    let last = failing(step, fence.attempts, error.next_try()).next.is_none();
    let plan = fail_plan(step, fence, error)?;
    transaction::run_closures_before_hooks(conn, Waits::AsSet, hooks, &mut |conn| {
        let row = lock_held(conn, step, fence)?.ok_or_else(|| plan.lease_lost())?;
        runner.fail_over(row, error, last, conn)?;
        let written = write(conn, &plan.change(standing(step, fence), None))?;
        written.map(drop).ok_or_else(|| plan.lease_lost())
    })
}

pub(super) fn new_claim<S: Step, C>(
    step: &StepSpec,
    claimed: ClaimedRow,
    signals: Signals,
    desk: &dyn Desk<C>,
) -> Result<Claim<S>> {
    let ClaimedRow { row, last_finish } = claimed;
    let hold = Hold {
        flow: step.flow,
        worker: Arc::clone(desk.worker()),
        policy: Arc::clone(&step.policy),
        identity: desk.identity(),
        visit: last_finish,
        signals,
    };
    Ok(Claim::new(Record::new(decode::decode(row, None)?), hold))
}

/// Reads what the handler is given: no connection is taken if that is nothing.
fn read_loads<S: Step, C: Dialect>(
    desk: &dyn Desk<C>,
    step: &StepSpec,
    fence: &Fence,
) -> Result<S::Loads, Unsettled> {
    let (id, record, mut left) = (fence.id, RecordRef::of::<S::Flow>(fence.id), false);
    let mut newest = |name: &'static str, aliases: &'static [&'static str]| {
        let mut found = None;
        let asked = desk.insist(step, fence, &mut |conn| {
            found = newest_artefact(conn, id, None, (name, aliases)).explain_for(conn, record)?;
            Ok(())
        });
        left = matches!(asked, Err(Unsettled::Left(_)));
        asked.map(|()| found).map_err(Error::from)
    };
    let loads = S::Loads::read_from(&mut Decoder::new(record, &mut newest));
    loads.map_err(|error| if left { Unsettled::Left(error) } else { Unsettled::Refused(error) })
}

/// An outcome as it is written.
pub(super) fn encode<S: Step>(outcome: &S::Outcome, record: RecordRef) -> Handled {
    let mut encoder = Encoder::new(record);
    let written = catch_unwind(AssertUnwindSafe(|| S::write_outcome(outcome, &mut encoder)));
    match written {
        Ok(Ok(at)) => Handled::Finished(Outcome { at, artefacts: encoder.written }),
        Ok(Err(error)) => Handled::Failed(StepError::permanent(error)),
        Err(panic) => Handled::Failed(panicked(&*panic)),
    }
}

pub(super) fn lease_lost(step: &StepSpec, record: RecordRef) -> Error {
    Error::LeaseLost { record, transition: step.name }
}

/// Any other error is not the record's.
fn unreadable(error: Error) -> Result<Handled> {
    if error.is_unreadable() { Ok(Handled::Unreadable(error)) } else { Err(error) }
}

/// What a transactional try failed with, if it is the handler's doing or the record's: what it
/// ignored, left open or wrote against a constraint. Trying again without counting would never end.
pub(super) fn of_the_handler(error: Error) -> Result<Handled> {
    use diesel::result::DatabaseErrorKind as Kind;
    let refused = match &error {
        Error::FailureIgnored { .. }
        | Error::UnbalancedTransaction
        | Error::WriteSkipped { .. }
        | Error::UnknownOutcome { .. }
        | Error::CorruptTime { .. } => true,
        Error::Database { source: diesel::result::Error::DatabaseError(kind, _), .. } => matches!(
            kind,
            Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::NotNullViolation
                | Kind::CheckViolation
        ),
        _ => false,
    };
    if refused { Ok(Handled::Failed(error.into())) } else { unreadable(error) }
}

fn refused_end(step: &StepSpec, record: RecordRef, error: &StepError) -> Error {
    let source = crate::worker::step::error::text(error).into();
    Error::Within { record, transition: step.name, source }
}

pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> StepError {
    format!("the handler panicked: {}", panic_text(panic)).into()
}
