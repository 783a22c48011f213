//! Running a handler on a claim: types in, a settled claim out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use flowstate::{ArtefactSet, Transition};

use crate::dialect::Dialect;
use crate::dialect::rows::ClaimedRow;
use crate::error::{Error, RecordRef, Result};
use crate::transaction;
use crate::transaction::explain::explain;
use crate::transaction::hooks::panic_text;
use crate::transaction::swallowed;
use crate::transition::apply::{newest_artefact, write};
use crate::transition::typed::Decoder;
use crate::worker::claim::events;
use crate::worker::claim::settle;
use crate::worker::claim::settle::{Fence, finish_plan, standing};
use crate::worker::claim::{Claim, encode, load};
use crate::worker::step::StepSpec;
use crate::worker::step::error::StepError;

/// A step with its handler, without types.
pub(crate) trait Runner<C>: Send + Sync {
    fn step(&self) -> &Arc<StepSpec>;

    /// Runs the handler and settles the claim.
    fn run(&self, claimed: ClaimedRow, desk: &dyn Desk<C>) -> Result<Ran>;
}

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    Finished,
    Failed,
}

/// Where runners get their connections.
pub(crate) trait Desk<C> {
    /// Runs `work` for a claim on a pooled connection, again and again until the database has
    /// answered.
    fn insist(
        &self,
        step: &StepSpec,
        fence: Fence,
        work: &mut dyn FnMut(&mut C) -> Result<()>,
    ) -> Result<(), Unsettled>;

    fn worker(&self) -> &Arc<str>;

    /// Says whether the row's lock holds a claim.
    fn set_locked(&self, fence: Fence, locked: bool);
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
    fn failure(self) -> Result<StepError> {
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
        let fence = Fence::from(&claimed.row);
        // the user's code is the handler, and what reads and writes the user's types
        let handled = catch_unwind(AssertUnwindSafe(|| self.handle(claimed, fence, desk)));
        match handled.unwrap_or_else(|panic| Ok(Err(panicked(&*panic))))? {
            Ok(artefacts) => {
                let finished = desk.insist(&self.step, fence, &mut |conn| {
                    settle::finish(conn, &self.step, fence, artefacts.clone())
                });
                match finished {
                    Ok(()) => {
                        events::finished(&self.step, fence);
                        Ok(Ran::Finished)
                    }
                    Err(unsettled) => fail(desk, &self.step, fence, &unsettled.failure()?),
                }
            }
            Err(error) => fail(desk, &self.step, fence, &error),
        }
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
        fence: Fence,
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
    fence: Fence,
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

fn fail<C: Dialect>(
    desk: &dyn Desk<C>,
    step: &StepSpec,
    fence: Fence,
    error: &StepError,
) -> Result<Ran> {
    desk.insist(step, fence, &mut |conn| settle::fail(conn, step, fence, error))?;
    events::failed(step, fence, error);
    Ok(Ran::Failed)
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
        let fence = Fence::from(&claimed.row);
        let (step, worker) = (Arc::clone(&self.step), Arc::clone(desk.worker()));
        let claim = match catch_unwind(AssertUnwindSafe(|| Claim::new(claimed, step, worker))) {
            Ok(Ok(claim)) => claim,
            Ok(Err(error)) => return fail(desk, &self.step, fence, &of_the_handler(error)?),
            Err(panic) => return fail(desk, &self.step, fence, &panicked(&*panic)),
        };
        let mut failed = None;
        let settled = desk.insist(&self.step, fence, &mut |conn| {
            // the connection is taken inside what is unwound, and rolled back on the way out
            let tried = catch_unwind(AssertUnwindSafe(|| self.once(conn, &claim, fence, desk)));
            desk.set_locked(fence, false);
            failed = match tried {
                Ok(Ok(())) => None,
                Ok(Err(Undone::Ours(error))) => Some(of_the_handler(error)?),
                Ok(Err(Undone::Handler(error))) => Some(error),
                Err(panic) => Some(panicked(&*panic)),
            };
            Ok(())
        });
        let failed = match settled {
            Ok(()) => failed,
            Err(unsettled) => Some(unsettled.failure()?),
        };
        match failed {
            None => {
                events::finished(&self.step, fence);
                Ok(Ran::Finished)
            }
            Some(error) => fail(desk, &self.step, fence, &error),
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
        fence: Fence,
        desk: &dyn Desk<C>,
    ) -> Result<(), Undone>
    where
        C: Dialect,
        E: Into<StepError>,
        H: Fn(&Claim<Start, Finish>, Start::Loads, &mut C) -> Result<Finish::Persists, E>,
    {
        let record = RecordRef::of::<Start::Flow>(fence.id);
        transaction::run_closures(conn, &mut |conn| {
            let plan = finish_plan(&self.step, fence, Vec::new())?;
            if !settle::is_held(conn, &self.step, fence)? {
                return Err(plan.lease_lost().into());
            }
            desk.set_locked(fence, true);
            let loads = load::<Start, C>(conn, fence.id)?;
            let persists = (self.handler)(claim, loads, conn)
                .map_err(|error| Undone::Handler(error.into()))?;
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
