//! Running a handler on a claim: types in, and how the claim is to end out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use flowstate::{ArtefactSet, Transition};

use super::runner::{Desk, Ran, Runner, Unsettled};
use crate::dialect::Dialect;
use crate::dialect::fault::{Fault, copy};
use crate::dialect::rows::ClaimedRow;
use crate::error::{Error, RecordRef, Result};
use crate::text::chain::causes;
use crate::transaction;
use crate::transaction::explain::explain;
use crate::transaction::hooks::{panic_text, run_hooks};
use crate::transaction::scope::Hook;
use crate::transaction::swallowed;
use crate::transition::apply::{newest_artefact, write};
use crate::transition::typed::Decoder;
use crate::worker::claim::settle;
use crate::worker::claim::settle::{End, Fence, finish_plan, standing};
use crate::worker::claim::{Claim, encode, load};
use crate::worker::step::StepSpec;
use crate::worker::step::error::StepError;

/// A step whose handler holds neither a lock nor a connection.
pub(crate) struct Plain<Start, Finish, H> {
    pub(crate) step: Arc<StepSpec>,
    pub(crate) handler: H,
    pub(crate) types: std::marker::PhantomData<fn() -> (Start, Finish)>,
}

impl<C, Start, Finish, H> Runner<C> for Plain<Start, Finish, H>
where
    C: Dialect,
    Start: Transition,
    Finish: Transition,
    H: Fn(&Claim<Start, Finish>, Start::Loads) -> Result<Finish::Persists, StepError> + Send + Sync,
{
    fn step(&self) -> &Arc<StepSpec> {
        &self.step
    }

    fn run(&self, claimed: ClaimedRow, desk: &dyn Desk<C>) -> Result<Ran> {
        let fence = Fence::of(&claimed.row, desk.worker());
        // the user's code is the handler, and what reads and writes the user's types
        let handled = catch_unwind(AssertUnwindSafe(|| self.handle(claimed, &fence, desk)));
        Ok(Ran::Ended(match handled.unwrap_or_else(|panic| Ok(Err(panicked(&*panic))))? {
            Ok(artefacts) => self.step.finish(artefacts),
            Err(error) => End::Fail(error),
        }))
    }
}

type Handled = Result<Vec<(&'static str, String)>, StepError>;

impl<Start, Finish, H> Plain<Start, Finish, H>
where
    Start: Transition,
    Finish: Transition,
    H: Fn(&Claim<Start, Finish>, Start::Loads) -> Result<Finish::Persists, StepError>,
{
    fn handle<C: Dialect>(
        &self,
        claimed: ClaimedRow,
        fence: &Fence,
        desk: &dyn Desk<C>,
    ) -> Result<Handled> {
        let claim = match Claim::new(claimed, Arc::clone(&self.step), Arc::clone(desk.worker())) {
            Ok(claim) => claim,
            Err(error) => return unreadable(error).map(Err),
        };
        let loads = match read_loads::<Start, C>(desk, &self.step, fence) {
            Ok(loads) => loads,
            Err(Unsettled::Refused(error)) if is_unreadable(&error) => {
                return Ok(Err(StepError::permanent(error)));
            }
            Err(unsettled) => return unsettled.failure().map(Err),
        };
        let persists = match (self.handler)(&claim, loads) {
            Ok(persists) => persists,
            Err(error) => return Ok(Err(error)),
        };
        let record = RecordRef::of::<Start::Flow>(fence.id);
        Ok(encode::<Finish>(&persists, record).map_err(StepError::permanent))
    }
}

/// Reads what the start transition loads: no connection is taken if that is nothing.
fn read_loads<Start: Transition, C: Dialect>(
    desk: &dyn Desk<C>,
    step: &StepSpec,
    fence: &Fence,
) -> Result<Start::Loads, Unsettled> {
    let (id, record, mut left) = (fence.id, RecordRef::of::<Start::Flow>(fence.id), false);
    let mut newest = |name: &'static str, aliases: &'static [&'static str]| {
        let mut found = None;
        let asked = desk.insist(step, fence, &mut |conn| {
            let newest = newest_artefact(conn, id, name, aliases);
            found = newest.map_err(|error| explain(conn, Some(record), error))?;
            Ok(())
        });
        left = matches!(asked, Err(Unsettled::Left(_)));
        asked.map(|()| found).map_err(Error::from)
    };
    let loads = Start::Loads::read_from(&mut Decoder::new(record, &mut newest));
    loads.map_err(|error| if left { Unsettled::Left(error) } else { Unsettled::Refused(error) })
}

/// Whether the error tells of stored data that this code cannot read: that fails the step for good.
fn is_unreadable(error: &Error) -> bool {
    matches!(
        error,
        Error::Decode { .. } | Error::MissingArtefact { .. } | Error::UnknownState { .. }
    )
}

/// Any other error is not the record's.
fn unreadable(error: Error) -> Result<StepError> {
    if is_unreadable(&error) { Ok(StepError::permanent(error)) } else { Err(error) }
}

/// What a transactional try failed with, if it is the handler's doing or the record's: what it
/// ignored, left open or wrote against a constraint. Trying again without counting would never end.
fn of_the_handler(error: Error) -> Result<StepError> {
    use diesel::result::DatabaseErrorKind as Kind;
    let refused = match &error {
        Error::FailureIgnored { .. } | Error::Setup { .. } => true,
        Error::Database { source: diesel::result::Error::DatabaseError(kind, _), .. } => matches!(
            kind,
            Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::NotNullViolation
                | Kind::CheckViolation
        ),
        _ => false,
    };
    if refused { Ok(error.into()) } else { unreadable(error) }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> StepError {
    format!("the handler panicked: {}", panic_text(panic)).into()
}

/// A step whose handler writes in the finishing transaction.
pub(crate) struct Transactional<Start, Finish, H> {
    pub(crate) step: Arc<StepSpec>,
    pub(crate) handler: H,
    pub(crate) types: std::marker::PhantomData<fn() -> (Start, Finish)>,
}

/// Why a transactional try ended without a commit.
enum Undone {
    Ours(Error),
    Handler(StepError),
}

/// What a handler's error undoes: one that comes from a database that is away costs no try.
fn undone<C: Dialect>(record: RecordRef, error: StepError) -> Undone {
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

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl<C, Start, Finish, E, H> Runner<C> for Transactional<Start, Finish, H>
where
    C: Dialect,
    Start: Transition,
    Finish: Transition,
    E: Into<StepError>,
    H: Fn(&Claim<Start, Finish>, Start::Loads, &mut C) -> Result<Finish::Persists, E> + Send + Sync,
{
    fn step(&self) -> &Arc<StepSpec> {
        &self.step
    }

    fn run(&self, claimed: ClaimedRow, desk: &dyn Desk<C>) -> Result<Ran> {
        let fence = Fence::of(&claimed.row, desk.worker());
        let failed = |error| Ok(Ran::Ended(End::Fail(error)));
        let (step, worker) = (Arc::clone(&self.step), Arc::clone(desk.worker()));
        let claim = match catch_unwind(AssertUnwindSafe(|| Claim::new(claimed, step, worker))) {
            Ok(Ok(claim)) => claim,
            Ok(Err(error)) => return failed(of_the_handler(error)?),
            Err(panic) => return failed(panicked(&*panic)),
        };
        let (mut undone, mut hooks) = (None, Vec::new());
        let tried = desk.insist(&self.step, &fence, &mut |conn| {
            // the connection is taken inside what is unwound, and rolled back on the way out
            let tried = catch_unwind(AssertUnwindSafe(|| {
                self.once(conn, &claim, &fence, desk, &mut hooks)
            }));
            desk.set_locked(&fence, false);
            undone = match tried {
                Ok(Ok(())) => None,
                Ok(Err(Undone::Ours(error))) => Some(of_the_handler(error)?),
                Ok(Err(Undone::Handler(error))) => Some(error),
                Err(panic) => Some(panicked(&*panic)),
            };
            Ok(())
        });
        // by now the connection is back in the pool, where they may want it
        run_hooks(hooks);
        match tried {
            Ok(()) => undone.map_or(Ok(Ran::Committed), failed),
            Err(unsettled) => failed(unsettled.failure()?),
        }
    }
}

impl<Start, Finish, H> Transactional<Start, Finish, H>
where
    Start: Transition,
    Finish: Transition,
{
    /// One transaction: lock, hold against the fence, handler, finish.
    fn once<C, E>(
        &self,
        conn: &mut C,
        claim: &Claim<Start, Finish>,
        fence: &Fence,
        desk: &dyn Desk<C>,
        hooks: &mut Vec<Hook>,
    ) -> Result<(), Undone>
    where
        C: Dialect,
        E: Into<StepError>,
        H: Fn(&Claim<Start, Finish>, Start::Loads, &mut C) -> Result<Finish::Persists, E>,
    {
        let record = RecordRef::of::<Start::Flow>(fence.id);
        transaction::run_closures_before_hooks(conn, hooks, &mut |conn| {
            let plan = finish_plan(&self.step, fence, Vec::new())?;
            if !settle::is_held(conn, &self.step, fence)? {
                return Err(plan.lease_lost().into());
            }
            desk.set_locked(fence, true);
            let loads = load::<Start, C>(conn, fence.id)?;
            let persists = (self.handler)(claim, loads, conn)
                .map_err(|error| undone::<C>(record, error.into()))?;
            swallowed::refuse(conn)?;
            let artefacts = encode::<Finish>(&persists, record)
                .map_err(|error| Undone::Handler(StepError::permanent(error)))?;
            let plan = finish_plan(&self.step, fence, artefacts)?;
            let change = plan.change(standing(&self.step, fence), None);
            match write(conn, &change)? {
                Some(_) => Ok(()),
                None => Err(plan.lease_lost().into()),
            }
        })
    }
}
