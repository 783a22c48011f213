//! Claims by hand: one hold on a record, for code that runs its own threads.

pub(super) mod batches;
pub(super) mod deadlines;
pub(super) mod events;
pub(super) mod release;
pub(super) mod settle;

use std::sync::Arc;

use flowstate::{ArtefactSet, Claim, EndsAlone, Hold, IntoStep, Record, Signals, Step, StepError};

use self::batches::EVERYTHING;
use self::release::{Back, put_back};
use self::settle::{Fence, Outcome};
use super::step::StepSpec;
use crate::dialect::change::{NO_IDS, Which};
use crate::dialect::connection::AsStore;
use crate::dialect::rows::{ClaimedRow, CountRow, FlowRow};
use crate::dialect::{Dialect, PollGroup, PollState, PollStates, Writes as _};
use crate::error::{Error, RecordRef, Result};
use crate::store::identity::identity;
use crate::store::migrate::refuse_unfit;
use crate::text::time::micros;
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::instrument;
use crate::transaction::parts::{each_part, is_of_a_record};
use crate::transaction::read::read;
use crate::transaction::token::worker_id;
use crate::transition::artefacts::newest_artefact;
use crate::transition::decode;
use crate::transition::trace;
use crate::transition::typed::{Decoder, Encoder};

/// Claims the oldest due record of this step, if there is one, and takes its start transition.
///
/// For code that runs its own threads; a [`Worker`](crate::Worker) does this by itself. Several
/// threads and processes may call it at once: each record goes to one of them, and what others are
/// claiming at this moment is passed over. The claim is ended by the methods of [`ClaimStore`]. Nobody
/// extends its lease but [`ClaimStore::extend`], and nobody fails over what a dead process left but a
/// worker or [`reap`].
///
/// What a step does `within` the transaction that ends it is skipped by a claim that is ended by hand:
/// only a worker that serves the flow ([`Worker::serve`](crate::Worker::serve)) has the method for it,
/// and such a worker fails the claims of the dead over.
///
/// # Errors
/// A conflict or [`Error::Database`]: nothing is claimed. A server that is too old is refused, which
/// the first claim on a connection asks. [`Error::Decode`] if this code cannot read
/// the props: the record was claimed and is failed over when its lease runs out.
pub fn claim_next<S: IntoStep>(step: S, conn: &mut impl AsStore) -> Result<Option<Claim<S::Step>>> {
    let worker: Arc<str> = worker_id()?.into();
    let conn = conn.as_store();
    if instrument::identity(conn).is_none() {
        // the first claim on this connection
        refuse_unfit(conn)?;
        identity(conn)?;
    }
    let mut specs: Vec<_> = StepSpec::under_each_name::<S::Step>(step.into_policy()).collect();
    // no more come under a former name, so that those cannot keep the others waiting for ever
    specs.reverse();
    for spec in specs {
        if let Some(claim) = claim_one(conn, &spec, &worker)? {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}

/// Claims the oldest due record of a step under one name of its flow.
fn claim_one<S: Step, C: Dialect>(
    conn: &mut C,
    spec: &StepSpec,
    worker: &Arc<str>,
) -> Result<Option<Claim<S>>> {
    for source in by_age(conn, spec)? {
        if let Some(ClaimedRow { row, last_finish }) = claim_oldest(conn, spec, source, worker)? {
            let record = RecordRef::of::<S::Flow>(row.id);
            let traceparent = trace::kept(conn, record, row.id, row.seq).unwrap_or_default();
            let hold = Hold {
                flow: spec.flow,
                worker: Arc::clone(worker),
                policy: Arc::clone(&spec.policy),
                identity: identity(conn)?,
                visit: last_finish,
                signals: Signals { traceparent, ..Signals::default() },
            };
            return Ok(Some(Claim::new(Record::new(decode::decode(row, None)?), hold)));
        }
    }
    Ok(None)
}

/// So many records that cannot be claimed are passed over by one call.
const MOST_REFUSED: usize = 100;

/// Claims the oldest record that can be claimed.
fn claim_oldest<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    source: &'static str,
    worker: &str,
) -> Result<Option<ClaimedRow>> {
    let (reach, mut refused) = (micros(EVERYTHING), Vec::new());
    loop {
        let but = serde_json::Value::from(&*refused).to_string();
        let which = Which::Oldest { reach, but: &but, limit: 1 };
        let error = match batches::claim(conn, step, source, which, worker) {
            Ok(claimed) => return Ok(claimed.into_iter().next()),
            Err(error) => error,
        };
        // in a transaction of the caller's nothing can follow
        let passes = is_of_a_record::<C>(&error) && conn.depth().is_ok_and(|depth| depth == 0);
        if !passes || refused.len() == MOST_REFUSED {
            return Err(error);
        }
        let found = batches::find_due(conn, step, source, (reach, &but, 1))?;
        let Some(first) = found.first() else { return Err(error) };
        events::passed_over(step.flow, first.id, "claim", &error);
        refused.push(first.id);
    }
}

/// The states from which the step starts, that of the oldest due record first.
fn by_age<C: Dialect>(conn: &mut C, step: &StepSpec) -> Result<Vec<&'static str>> {
    if let [source] = *step.sources {
        return Ok(vec![source]);
    }
    let reach = micros(EVERYTHING);
    let states = step.sources.iter().enumerate();
    let states: Vec<_> = states
        .map(|(label, source)| PollState { label, flow: step.flow, state: source, reach })
        .collect();
    let none = PollGroup { states: &[], but: NO_IDS };
    let sources = PollGroup { states: &states, but: NO_IDS };
    let states = PollStates { sources, running: none, timed: none };
    let record = RecordRef { flow: step.flow, id: None };
    let mut due = read(conn, record, |conn| conn.poll(states))?;
    due.sort_by_key(|row| std::cmp::Reverse(row.number));
    let named = |row: CountRow| step.sources.get(row.label.parse::<usize>().ok()?).copied();
    Ok(due.into_iter().filter_map(named).collect())
}

/// Fails over the claims of this step whose lease has run out, whoever made them, as the reaper of a
/// [`Worker`](crate::Worker) does. Returns how many.
///
/// For code that claims with [`claim_next`] and runs no worker: without either, the record of a
/// process that died stays where it is. Call it now and then, from any number of processes. After
/// an outage of the database leave those who are alive the time to extend their leases first. A step
/// that says `within` is refused: a worker that serves the flow has the method that runs then.
///
/// # Errors
/// A conflict or [`Error::Database`]: what was failed over before it remains so. A record that cannot
/// be failed over is told to `tracing`, and keeps no other.
pub fn reap<S: IntoStep<Step: EndsAlone>>(step: S, conn: &mut impl AsStore) -> Result<usize> {
    let conn = conn.as_store();
    let specs = StepSpec::under_each_name::<S::Step>(step.into_policy());
    specs.map(|spec| reap_all(conn, &spec)).sum()
}

fn reap_all<C: Dialect>(conn: &mut C, step: &StepSpec) -> Result<usize> {
    let (mut all, mut refused) = (0, Vec::new());
    for running in &step.running_names {
        loop {
            let but = serde_json::Value::from(&*refused).to_string();
            let found = batches::find_expired(conn, step, running, &but)?;
            let before = (all, refused.len());
            each_part(
                &found,
                is_of_a_record::<C>,
                &mut |part| {
                    // no part of the user's runs, so that there are no hooks
                    let hooks = &mut Vec::new();
                    let part = batches::reap(conn, hooks, step, part, &|_, _, _, _| Ok(()))?;
                    all += part.records;
                    Ok(())
                },
                &mut |found, error| {
                    events::passed_over(step.flow, found.id, "reap", &error);
                    refused.push(found.id);
                },
            )?;
            if (all, refused.len()) == before {
                break;
            }
        }
    }
    Ok(all)
}

/// How a claim by hand ends. In the prelude.
pub trait ClaimStore<S: Step> {
    /// Reads what the step loads.
    ///
    /// # Errors
    /// [`Error::Decode`] and [`Error::MissingArtefact`]; [`Error::Database`].
    fn loads(&self, conn: &mut impl AsStore) -> Result<S::Loads>;

    /// Ends it well: takes the transition of this outcome and those that follow at once.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the claim is no longer held; [`Error::Unstorable`]; others as
    /// [`Request::run`](crate::Request::run).
    fn finish(self, outcome: S::Outcome, conn: &mut impl AsStore) -> Result<()>;

    /// Ends it badly, with the error's text; the step is tried again after its backoff if an attempt
    /// is left. [`StepError::not_yet`] puts it off instead.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the claim is no longer held; others as
    /// [`Request::run`](crate::Request::run).
    fn fail(self, error: impl Into<StepError>, conn: &mut impl AsStore) -> Result<()>;

    /// Gives the record back: it is in the state again from which it was claimed, can be claimed at
    /// once, and the try does not count. The history has a row for it, `claim.release`.
    ///
    /// A timed transition of that state begins anew.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the claim is no longer held; others as
    /// [`Request::run`](crate::Request::run).
    fn release(self, conn: &mut impl AsStore) -> Result<()>;

    /// Starts the lease anew, by the database's clock.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the claim is no longer held.
    fn extend(&mut self, conn: &mut impl AsStore) -> Result<()>;
}

impl<S: Step> ClaimStore<S> for Claim<S> {
    fn loads(&self, conn: &mut impl AsStore) -> Result<S::Loads> {
        load::<S, _>(conn.as_store(), self.id())
    }

    fn finish(self, outcome: S::Outcome, conn: &mut impl AsStore) -> Result<()> {
        let (spec, fence) = (spec(&self), fence(&self));
        let mut encoder = Encoder::new(RecordRef::of::<S::Flow>(fence.id));
        let at = S::write_outcome(&outcome, &mut encoder)?;
        let outcome = Outcome { at, artefacts: encoder.written };
        settle::finish(conn.as_store(), &spec, &fence, outcome)?;
        events::finished(&spec, &fence);
        Ok(())
    }

    fn fail(self, error: impl Into<StepError>, conn: &mut impl AsStore) -> Result<()> {
        let (spec, fence, error) = (spec(&self), fence(&self), error.into());
        if let flowstate::NextTry::NotYet(pause) = error.next_try() {
            put_back(conn.as_store(), &spec, &fence, Back::NotYet(pause))?;
            events::put_off(&spec, &fence);
            return Ok(());
        }
        let plan = settle::fail_plan(&spec, &fence, &error)?;
        settle::end(conn.as_store(), &spec, &fence, &plan)?;
        let next = settle::failing(&spec, fence.attempts, error.next_try()).next;
        events::failed(&spec, &fence, &error, next);
        Ok(())
    }

    fn release(self, conn: &mut impl AsStore) -> Result<()> {
        let (spec, fence) = (spec(&self), fence(&self));
        put_back(conn.as_store(), &spec, &fence, Back::Released("released"))?;
        events::released(&spec, &fence);
        Ok(())
    }

    fn extend(&mut self, conn: &mut impl AsStore) -> Result<()> {
        let (spec, fence) = (spec(self), fence(self));
        let record = RecordRef::of::<S::Flow>(fence.id);
        let leases = serde_json::json!([settle::lease(&fence, &spec)]).to_string();
        let lost = Error::LeaseLost { record, transition: S::NAME };
        let extended = transaction::run::<_, _, Error>(conn.as_store(), &mut |conn| {
            // extending passes over what others have locked: first wait for the lock
            if settle::lock_held(conn, &spec, &fence)?.is_none() {
                return Ok(false);
            }
            let extended =
                conn.extend_leases(&self.hold().worker, &leases).explain_for(conn, record)?;
            Ok(extended == 1)
        })?;
        if extended { Ok(()) } else { Err(lost) }
    }
}

fn spec<S: Step>(claim: &Claim<S>) -> Arc<StepSpec> {
    StepSpec::of::<S>(claim.hold().flow, Arc::clone(&claim.hold().policy))
}

fn fence<S: Step>(claim: &Claim<S>) -> Fence {
    let (row, worker) = (claim.row(), Arc::clone(&claim.hold().worker));
    Fence { id: row.id, seq: row.seq, attempts: row.attempts, worker }
}

/// Reads what the handler of a step is given.
pub(crate) fn load<S: Step, C: Dialect>(conn: &mut C, id: i64) -> Result<S::Loads> {
    let record = RecordRef::of::<S::Flow>(id);
    let mut newest = |name: &'static str, aliases: &'static [&'static str]| {
        read(conn, record, |conn| newest_artefact(conn, id, None, (name, aliases)))
    };
    S::Loads::read_from(&mut Decoder::new(record, &mut newest))
}

/// Reads a record, and what the handler of a step is given with it.
pub(crate) fn read_record<S: Step, C: Dialect>(conn: &mut C, row: FlowRow) -> Result<()> {
    let id = row.id;
    decode::decode::<S::Flow>(row, None)?;
    load::<S, C>(conn, id).map(drop)
}
