//! A claim as handlers and users' own threads see it.

pub(super) mod batches;
pub(super) mod events;
pub(super) mod release;
pub(super) mod settle;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use flowstate::{ArtefactSet, Flow, Record, Transition};

use self::release::release;
use self::settle::Fence;
use super::engine::watermark::EVERYTHING;
use super::step::error::StepError;
use super::step::{FailTransition, FinishTransition, Step, StepSpec};
use crate::dialect::connection::AsStore;
use crate::dialect::rows::{ClaimedRow, CountRow};
use crate::dialect::{Asked, Asking, Dialect};
use crate::error::{Error, RecordRef, Result};
use crate::store::migrate::refuse_unfit;
use crate::transaction;
use crate::transaction::explain::explain;
use crate::transaction::read::read;
use crate::transaction::token::worker_id;
use crate::transition::apply::newest_artefact;
use crate::transition::decode;
use crate::transition::request::micros;
use crate::transition::typed::{Decoder, Encoder};

/// A step's exclusive hold on a record, until its lease runs out. Dereferences to the record and
/// its props.
///
/// A worker's handler is lent one. Code with threads of its own gets one from [`claim_next`] and
/// ends it by [`Claim::finish`], [`Claim::fail`] or [`Claim::release`]; a claim that is dropped
/// stays leased until its lease runs out, and is then failed over by a worker that serves the step,
/// or by [`reap`].
#[must_use = "a claim that is dropped blocks its record until the lease runs out"]
pub struct Claim<Start: Transition, Finish: Transition> {
    record: Record<Start::Flow>,
    step: Arc<StepSpec>,
    worker: Arc<str>,
    last_finish: Option<i64>,
    finish: PhantomData<fn() -> Finish>,
}

/// Claims the oldest due record of this step, if there is one, and takes its start transition.
///
/// For code that runs its own threads; a [`Worker`](crate::Worker) does this by itself. Several
/// threads and processes may call it at once: each record goes to one of them, and what others are
/// claiming at this moment is passed over. Nobody extends the lease but [`Claim::extend`], and
/// nobody fails over what a dead process left but a worker or [`reap`].
///
/// # Errors
/// A conflict or [`Error::Database`]: nothing is claimed. [`Error::Setup`] if the server is too old,
/// which the first claim with this step asks. [`Error::Decode`] if this code cannot read
/// the props: the record was claimed and is failed over when its lease runs out.
pub fn claim_next<Start, Finish, Last, Fail, S>(
    step: &Step<Start, Finish, Last, Fail>,
    conn: &mut S,
) -> Result<Option<Claim<Start, Finish>>>
where
    Start: Transition,
    Finish: FinishTransition,
    Last: Transition,
    Fail: FailTransition,
    S: AsStore,
{
    let worker: Arc<str> = worker_id()?.into();
    let conn = conn.as_store();
    if step.spec.asked.get().is_none() {
        refuse_unfit(conn)?;
        step.spec.asked.get_or_init(|| ());
    }
    for source in by_age(conn, &step.spec)? {
        let claimed = batches::claim(conn, &step.spec, source, micros(EVERYTHING), 1, &worker)?;
        if let Some(claimed) = claimed.into_iter().next() {
            return Claim::new(claimed, Arc::clone(&step.spec), worker).map(Some);
        }
    }
    Ok(None)
}

/// The states from which the step starts, that of the oldest due record first.
fn by_age<C: Dialect>(conn: &mut C, step: &StepSpec) -> Result<Vec<&'static str>> {
    if let [source] = *step.sources {
        return Ok(vec![source]);
    }
    let reach = micros(EVERYTHING);
    let asked = step.sources.iter().enumerate();
    let asked: Vec<_> = asked
        .map(|(label, source)| Asked { label, flow: step.flow, state: source, reach })
        .collect();
    let asking = Asking { sources: &asked, running: &[], timed: &[] };
    let record = RecordRef { flow: step.flow, id: None };
    let mut due = read(conn, record, |conn| conn.scout(asking))?;
    due.sort_by_key(|row| std::cmp::Reverse(row.number));
    let named = |row: CountRow| step.sources.get(row.label.parse::<usize>().ok()?).copied();
    Ok(due.into_iter().filter_map(named).collect())
}

/// Fails over the claims of this step whose lease has run out, whoever made them, as the reaper of a
/// [`Worker`](crate::Worker) does. Returns how many.
///
/// For code that claims with [`claim_next`] and runs no worker: without either, the record of a
/// process that died stays where it is. Call it now and then, from any number of processes. After
/// an outage of the database leave those who are alive the time to extend their leases first.
///
/// # Errors
/// A conflict or [`Error::Database`]: what was failed over before it remains so.
pub fn reap<Start, Finish, Last, Fail, S>(
    step: &Step<Start, Finish, Last, Fail>,
    conn: &mut S,
) -> Result<usize>
where
    Start: Transition,
    Finish: FinishTransition,
    Last: Transition,
    Fail: FailTransition,
    S: AsStore,
{
    let (conn, mut all) = (conn.as_store(), 0);
    for running in &step.spec.running_names {
        loop {
            let reaped = batches::reap(conn, &step.spec, running, &|_| false)?;
            all += reaped;
            if reaped == 0 {
                break;
            }
        }
    }
    Ok(all)
}

impl<Start, Finish> Claim<Start, Finish>
where
    Start: Transition,
    Finish: Transition,
{
    pub(crate) fn new(claimed: ClaimedRow, step: Arc<StepSpec>, worker: Arc<str>) -> Result<Self> {
        let ClaimedRow { row, last_finish } = claimed;
        let record = Record::new(decode::decode(row, None)?);
        Ok(Self { record, step, worker, last_finish, finish: PhantomData })
    }

    /// A key for requests to other systems: the same for every try of this step of this record,
    /// until the step has finished, and different for every other step, record or visit.
    ///
    /// Hand it to an API that knows idempotency keys: a try that was repeated because nobody knows
    /// whether the first one arrived is then carried out once. Records of different databases may
    /// share a key; add a prefix where they meet.
    ///
    /// ```
    /// use flowstate_diesel::{Step, StepError, Worker, prelude::*};
    /// # use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
    /// # #[derive(flowstate::Flow, serde::Serialize, serde::Deserialize)]
    /// # #[state(Due, Paying, Paid, NotPaid(error))]
    /// # #[initial(Due)]
    /// # #[completed(Paid)]
    /// # #[transition(pay: Due | NotPaid => Paying)]
    /// # #[transition(confirm: Paying => Paid)]
    /// # #[transition(refuse: Paying => NotPaid)]
    /// # struct Bill { cents: i64 }
    /// # struct Bank;
    /// # impl Bank { fn pay(&self, _: i64, _: &str) -> Result<(), StepError> { Ok(()) } }
    /// # fn serve(pool: Pool<ConnectionManager<SqliteConnection>>, bank: Bank) {
    /// Worker::new(pool).step(
    ///     Step::start(Bill::PAY).finish(Bill::CONFIRM).fail(Bill::REFUSE),
    ///     // a bank that has seen the key does not pay again, and answers as it did
    ///     move |bill, ()| bank.pay(bill.cents, &bill.idempotency_key()),
    /// )
    /// # ;
    /// # }
    /// ```
    ///
    /// It is made of stored names: those of the flow and the start transition, and, where a step can
    /// be repeated, of what the history says of its finish transition. Rename none of the three
    /// while tries are under way: with another start the next try has another key, and what was
    /// carried out may be carried out again; with another finish the second visit has the first
    /// one's key, and is not carried out.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let StepSpec { flow, start, .. } = *self.step;
        match self.last_finish {
            None => format!("{flow}-{}-{start}", self.record.id()),
            Some(finish) => format!("{flow}-{}-{start}-{finish}", self.record.id()),
        }
    }

    /// Reads the artefacts that the start transition loads.
    ///
    /// # Errors
    /// [`Error::Decode`] and [`Error::MissingArtefact`]; [`Error::Database`].
    pub fn loads(&self, conn: &mut impl AsStore) -> Result<Start::Loads> {
        load::<Start, _>(conn.as_store(), self.record.id())
    }

    /// Takes the finish transition, with what it persists.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the claim is no longer held; [`Error::Unstorable`]; others as
    /// [`Request::run`](crate::Request::run).
    #[expect(clippy::needless_pass_by_value, reason = "handing over reads best by value")]
    pub fn finish(self, artefacts: Finish::Persists, conn: &mut impl AsStore) -> Result<()> {
        let artefacts = encode::<Finish>(&artefacts, self.record_ref())?;
        let (step, fence) = (&self.step, self.fence());
        let plan = settle::finish_plan(step, &fence, artefacts)?;
        settle::end(conn.as_store(), step, &fence, &plan)?;
        events::finished(step, &fence);
        Ok(())
    }

    /// Takes the fail transition, with the error's text; the step is tried again after its backoff
    /// if an attempt is left.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the claim is no longer held; others as
    /// [`Request::run`](crate::Request::run).
    pub fn fail(self, error: impl Into<StepError>, conn: &mut impl AsStore) -> Result<()> {
        let error = error.into();
        let (step, fence) = (&self.step, self.fence());
        let plan = settle::fail_plan(step, &fence, &error)?;
        settle::end(conn.as_store(), step, &fence, &plan)?;
        events::failed(step, &fence, &error);
        Ok(())
    }

    /// Gives the record back: it is in the state again from which it was claimed, can be claimed at
    /// once, and the try does not count. The history has a row for it, `claim.release`.
    ///
    /// A timed transition of that state begins anew.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the claim is no longer held; others as
    /// [`Request::run`](crate::Request::run).
    pub fn release(self, conn: &mut impl AsStore) -> Result<()> {
        release(conn.as_store(), &self.step, &self.fence(), "released")?;
        events::released(&self.step, &self.fence());
        Ok(())
    }

    /// Starts the lease anew, by the database's clock.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the claim is no longer held.
    pub fn extend(&mut self, conn: &mut impl AsStore) -> Result<()> {
        let (record, fence) = (self.record_ref(), self.fence());
        let leases = serde_json::json!([settle::lease(&fence, &self.step)]).to_string();
        let transition = self.step.start;
        transaction::run(conn.as_store(), &mut |conn| {
            // extending passes over what others have locked: first wait for the lock
            if !settle::is_held(conn, &self.step, &fence)? {
                return Err(Error::LeaseLost { record, transition });
            }
            match conn.extend_leases(&self.worker, &leases) {
                Ok(1) => Ok(()),
                Ok(_) => Err(Error::LeaseLost { record, transition }),
                Err(error) => Err(explain(conn, Some(record), error)),
            }
        })
    }

    fn fence(&self) -> Fence {
        let (row, worker) = (self.record.row(), Arc::clone(&self.worker));
        Fence { id: row.id, seq: row.seq, attempts: row.attempts, worker }
    }

    fn record_ref(&self) -> RecordRef {
        RecordRef::of::<Start::Flow>(self.record.id())
    }
}

/// Reads what a start transition loads.
pub(crate) fn load<Start: Transition, C: Dialect>(conn: &mut C, id: i64) -> Result<Start::Loads> {
    let record = RecordRef::of::<Start::Flow>(id);
    let mut newest = |name: &'static str, aliases: &'static [&'static str]| {
        read(conn, record, |conn| newest_artefact(conn, id, name, aliases))
    };
    Start::Loads::read_from(&mut Decoder::new(record, &mut newest))
}

/// Writes what a finish transition persists as JSON.
pub(crate) fn encode<Finish: Transition>(
    artefacts: &Finish::Persists,
    record: RecordRef,
) -> Result<Vec<(&'static str, String)>> {
    let mut encoder = Encoder::new(record);
    artefacts.write_to(&mut encoder)?;
    Ok(encoder.written)
}

impl<Start: Transition, Finish: Transition> Deref for Claim<Start, Finish> {
    type Target = Record<Start::Flow>;

    fn deref(&self) -> &Record<Start::Flow> {
        &self.record
    }
}

impl<Start: Transition, Finish: Transition> fmt::Debug for Claim<Start, Finish> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("flow", &<Start::Flow as Flow>::NAME)
            .field("id", &self.record.id())
            .field("step", &self.step.start)
            .field("attempt", &self.record.attempt())
            .finish_non_exhaustive()
    }
}
