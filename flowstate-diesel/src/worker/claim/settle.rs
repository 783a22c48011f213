//! How a claim ends: finished, failed or put off. Each is fenced by the claim's `seq` and its
//! holder.

use std::sync::Arc;
use std::time::Duration;

use flowstate::{NextTry, StepError};

use crate::dialect::Dialect;
use crate::dialect::change::{Change, Link, Notes, Standing, Timing};
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{FindFlow, LockFlow, TokenOf, TryFreeFlow, TryLockFlow};
use crate::dialect::sql::statement::Bind;
use crate::error::{Error, RecordRef, Result};
use crate::text::json;
use crate::text::time::micros;
use crate::transaction;
use crate::transaction::autocommit;
use crate::transaction::explain::explain;
use crate::transaction::notify::{self, Notification};
use crate::transaction::read::read;
use crate::transaction::token::token;
use crate::transition::apply::{
    Newest, Plan, Subject, apply, is_holder, mark, note_written, write,
};
use crate::worker::step::backoff;
use crate::worker::step::error::text;
use crate::worker::step::{Ending, Landing, StepSpec};

/// What identifies a claim: the record as the start transition left it, and who holds it.
///
/// The holder counts as well as the row's `seq`: where tables were emptied or restored, another
/// record may have the same id, and be where this one was.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    pub(crate) id: i64,
    pub(crate) seq: i64,
    pub(crate) attempts: i32,
    pub(crate) worker: Arc<str>,
}

impl Fence {
    pub(crate) fn of(row: &FlowRow, worker: &Arc<str>) -> Self {
        let worker = Arc::clone(worker);
        Self { id: row.id, seq: row.seq, attempts: row.attempts, worker }
    }
}

/// An outcome as it is written: its place in the step's list, and its artefacts.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) at: usize,
    pub(crate) artefacts: Vec<(&'static str, String)>,
}

/// What a claim came to.
#[derive(Debug)]
pub(crate) enum Settled {
    Finished,
    /// `next`: the pause before the next try.
    Failed {
        error: StepError,
        next: Option<Duration>,
    },
    /// It was too early.
    PutOff,
    /// The record was left to another version of the program.
    LeftAlone(Error),
}

/// A claim to be extended, as [`crate::dialect::Dialect::extend_leases`] takes it.
pub(crate) fn lease(fence: &Fence, step: &StepSpec) -> serde_json::Value {
    serde_json::json!([fence.id, fence.seq, micros(step.lease())])
}

/// Takes the transitions of an outcome.
pub(crate) fn finish<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    outcome: Outcome,
) -> Result<()> {
    end(conn, step, fence, &finish_plan(step, fence, outcome)?)
}

pub(crate) fn finish_plan(step: &StepSpec, fence: &Fence, outcome: Outcome) -> Result<Plan> {
    // the derive numbers them as it lists them
    let ending = step.outcomes.get(outcome.at).unwrap_or(&step.fail);
    let timing = Timing { attempts: Some(0), ..ending.landing.timing };
    let landing = Landing { timing, ..ending.landing };
    plan(step, fence, ending.links(outcome.artefacts), landing, None)
}

/// How a failed try ends.
#[derive(Debug)]
pub(crate) struct Failing<'s> {
    pub(crate) ending: &'s Ending,
    pub(crate) timing: Timing<'static>,
    /// The pause before the next try; `None` if this was the last one.
    pub(crate) next: Option<Duration>,
}

/// How a try ends that failed after so many others in a row.
pub(crate) fn failing(step: &StepSpec, attempts: i32, next: NextTry) -> Failing<'_> {
    let failed = attempts.saturating_add(1);
    let left = backoff::pause(step.policy.backoff(), failed);
    let next = match next {
        NextTry::Backoff | NextTry::NotYet(_) => left,
        NextTry::After(pause) => left.map(|_| pause),
        NextTry::Never => None,
    };
    if let (Some(ending), None) = (&step.give_up, next) {
        // where it leads others begin anew
        let timing = Timing { attempts: Some(0), ..ending.landing.timing };
        return Failing { ending, timing, next };
    }
    let timing = timing_after(step.fail.landing, failed, next);
    Failing { ending: &step.fail, timing, next }
}

/// What the row says of workers after so many failed tries in a row, with this pause before the next
/// one, if there is one.
pub(super) fn timing_after(
    landing: Landing,
    failed: i32,
    next: Option<Duration>,
) -> Timing<'static> {
    let due_in = next.filter(|_| !landing.completes).map(micros);
    Timing { due_in, attempts: Some(failed), ..landing.timing }
}

pub(crate) fn fail_plan(step: &StepSpec, fence: &Fence, error: &StepError) -> Result<Plan> {
    let Failing { ending, timing, .. } = failing(step, fence.attempts, error.next_try());
    let landing = Landing { timing, ..ending.landing };
    let error = Some(json::clean_error(&text(error)));
    plan(step, fence, ending.links(Vec::new()), landing, error)
}

/// The end of a claim, by its holder alone.
pub(super) fn plan(
    step: &StepSpec,
    fence: &Fence,
    links: Vec<Link>,
    landing: Landing,
    error: Option<String>,
) -> Result<Plan> {
    let record = RecordRef { flow: step.flow, id: Some(fence.id) };
    let held_by = Some(Arc::clone(&fence.worker));
    Ok(Plan { held_by, ..moving(record, fence.id, links, landing, error)? })
}

/// A move of a record, whoever holds it.
pub(super) fn moving(
    record: RecordRef,
    id: i64,
    links: Vec<Link>,
    landing: Landing,
    error: Option<String>,
) -> Result<Plan> {
    let notes = Notes { error, token: token()?, ..Notes::default() };
    let Landing { completes, destroys, timing } = landing;
    Ok(Plan { record, id, links, notes, completes, destroys, timing, held_by: None })
}

/// Ends those of these claims of one worker that are still held and that nobody has locked, all at
/// once. Returns their ids. None may destroy its record.
pub(crate) fn end_all<C: Dialect>(
    conn: &mut C,
    ends: &[(&StepSpec, &Fence, &Plan)],
) -> Result<Vec<i64>> {
    let changes = ends.iter().map(|(step, fence, plan)| plan.change(standing(step, fence), None));
    let changes: Vec<_> = changes.collect();
    let Some(first) = changes.first() else { return Ok(Vec::new()) };
    let is_of = |change: &&Change<'_>, settled: &[i64]| settled.contains(&change.id);
    if autocommit::possible(conn)
        && let Some(settled) =
            autocommit::run(conn, &mark(first), |conn| conn.settle(&changes).map(Some))?
    {
        let moved = changes.iter().filter(|change| is_of(change, &settled));
        notify::committed(moved.filter_map(Notification::of));
        return Ok(settled);
    }
    transaction::run(conn, &mut |conn| {
        let settled = conn.settle(&changes).map_err(|error| explain(conn, None, error))?;
        for change in changes.iter().filter(|change| is_of(change, &settled)) {
            note_written(conn, change);
        }
        Ok(settled)
    })
}

/// Ends one claim, unless somebody has locked its row, or refers to a record that is to be deleted:
/// then `false`, without waiting for them.
pub(crate) fn try_end<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    plan: &Plan,
) -> Result<bool> {
    let binds = [Bind::Int(fence.id), Bind::Text(step.flow)];
    let ended = transaction::run(conn, &mut |conn| {
        let is_alone = conn.depth().is_ok_and(|depth| depth == 1);
        let bound = if is_alone { conn.bound_waits() } else { Ok(()) };
        let locked = bound.and_then(|()| {
            if plan.destroys {
                conn.flows::<TryFreeFlow>(&binds)
            } else {
                conn.flows::<TryLockFlow>(&binds)
            }
        });
        let locked = locked.map_err(|error| explain(conn, Some(plan.record), error))?;
        if locked.is_empty() {
            return Ok(false);
        }
        match write(conn, &plan.change(standing(step, fence), None))? {
            Some(_) => Ok(true),
            None => Err(plan.lease_lost()),
        }
    })?;
    if !ended {
        // inside the transaction a plain read may wait for the lock, too
        let rows = read(conn, plan.record, |conn| conn.flows::<FindFlow>(&binds))?;
        rows.first().filter(|row| row.seq == fence.seq).ok_or_else(|| plan.lease_lost())?;
    }
    Ok(ended)
}

/// Whether it is this plan by which a claim was ended that is held no longer.
pub(crate) fn is_ended_by<C: Dialect>(conn: &mut C, fence: &Fence, plan: &Plan) -> Result<bool> {
    if plan.destroys {
        let binds = [Bind::Int(fence.id), Bind::Text(plan.record.flow)];
        return Ok(read(conn, plan.record, |conn| conn.flows::<FindFlow>(&binds))?.is_empty());
    }
    let binds = [Bind::Int(fence.id), Bind::Int(fence.seq + 1)];
    let rows = read(conn, plan.record, |conn| conn.counts::<TokenOf>(&binds))?;
    Ok(rows.first().is_some_and(|row| row.label == plan.notes.token))
}

pub(crate) fn end<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    plan: &Plan,
) -> Result<()> {
    apply(conn, plan, &mut Held(standing(step, fence))).map(drop)
}

/// Where the row of a held claim stands.
pub(crate) fn standing(step: &StepSpec, fence: &Fence) -> Standing<'static> {
    Standing { seq: fence.seq, state: step.running, is_error: false, attempts: fence.attempts }
}

/// The subject of a fenced transition: nothing of it needs the user's types.
struct Held(Standing<'static>);

impl<C> Subject<C> for Held {
    fn remembered(&self) -> Option<Standing<'static>> {
        Some(self.0)
    }

    fn is_plain(&self) -> bool {
        true
    }

    fn refresh(&mut self, _: FlowRow) -> Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _: &mut C) -> Result<(Standing<'static>, Option<String>)> {
        Ok((self.0, None))
    }

    fn load(&mut self, _: bool, _: &mut Newest<'_>) -> Result<()> {
        Ok(())
    }
}

/// Locks the row. The row, if it is still where the start transition left it.
pub(crate) fn lock_held<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
) -> Result<Option<FlowRow>> {
    let rows = conn.flows::<LockFlow>(&[Bind::Int(fence.id), Bind::Text(step.flow)]);
    let record = RecordRef { flow: step.flow, id: Some(fence.id) };
    let rows = rows.map_err(|error| explain(conn, Some(record), error))?;
    let row = rows.into_iter().next().filter(|row| row.seq == fence.seq);
    let Some(row) = row else { return Ok(None) };
    Ok(is_holder(conn, record, fence.id, &fence.worker)?.then_some(row))
}
