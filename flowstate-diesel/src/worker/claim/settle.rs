//! How a claim ends: finished, failed or put off. Each is fenced by the claim's `seq` and its
//! holder.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use flowstate::{NextTry, StepError};

use crate::dialect::Dialect;
use crate::dialect::change::{Change, Landing, Link, Notes, Payload, Plan, Standing, Timing};
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{FindFlow, HeldBy, LockFlow, TokenOf, TryFreeFlow, TryLockFlow};
use crate::dialect::sql::statement::Bind;
use crate::error::{Error, RecordRef, Result};
use crate::metrics;
use crate::text::json;
use crate::text::time::micros;
use crate::transaction;
use crate::transaction::autocommit;
use crate::transaction::explain::Explain as _;
use crate::transaction::notify::{self, Notification};
use crate::transaction::read::read;
use crate::transaction::token::token;
use crate::transition::apply::{Newest, Subject, apply, is_holder, mark, note_written, write};
use crate::worker::step::backoff;
use crate::worker::step::error::text;
use crate::worker::step::{Ending, StepSpec};

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
    pub(crate) artefacts: Vec<Payload>,
}

/// The end of a claim.
#[derive(Debug)]
pub(crate) enum Settled {
    Finished,
    /// `next`: the pause before a step takes the record again, if one does.
    Failed {
        error: StepError,
        next: Option<Duration>,
    },
    /// It was too early.
    PutOff,
    /// The record was left to another version of the program.
    LeftAlone {
        error: Error,
        /// How many records wait for another program, as far as this worker has seen of late.
        records: usize,
    },
}

/// A claim to be extended, as [`crate::dialect::Dialect::extend_leases`] takes it.
pub(crate) fn lease(fence: &Fence, step: &StepSpec) -> serde_json::Value {
    serde_json::json!([fence.id, fence.seq, micros(step.lease())])
}

/// Extends those of these claims of a worker that are still held and that nobody has locked, all or
/// none: a JSON array of [`lease`]s. Returns how many.
pub(crate) fn extend_all<C: Dialect>(conn: &mut C, worker: &str, leases: &str) -> Result<usize> {
    transaction::run_bounded(conn, &mut |conn| conn.extend_leases(worker, leases).explain(conn))
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
    let unknown = || Error::UnknownOutcome {
        record: RecordRef { flow: step.flow, id: Some(fence.id) },
        step: step.name,
        outcome: outcome.at,
        outcomes: step.outcomes.len(),
    };
    let ending = step.outcomes.get(outcome.at).ok_or_else(unknown)?;
    let timing = Timing { attempts: Some(0), ..ending.landing.timing };
    let landing = Landing { timing, ..ending.landing };
    plan(step, fence, ending.links(outcome.artefacts), landing, None)
}

/// How a failed try ends.
#[derive(Debug)]
pub(crate) struct Failing<'s> {
    pub(crate) ending: &'s Ending,
    pub(crate) timing: Timing,
    /// The pause before a step takes the record again, this one or another; `None` if none does.
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
    if step.sources.contains(&step.fail.to()) {
        let timing = timing_after(step.fail.landing, failed, next);
        return Failing { ending: &step.fail, timing, next };
    }
    let timing = step.fail.landing.timing;
    // another step begins anew at once; where none starts, the failed tries remain
    let next = timing.due_in.map(|_| Duration::ZERO);
    let attempts = Some(if next.is_some() { 0 } else { failed });
    Failing { ending: &step.fail, timing: Timing { attempts, ..timing }, next }
}

/// What the row says of workers after so many failed tries in a row, with this pause before the next
/// one, if there is one.
pub(super) fn timing_after(landing: Landing, failed: i32, next: Option<Duration>) -> Timing {
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
    Ok(Plan { record, aliases: &[], id, links, notes, landing, lease: None, held_by: None })
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
            autocommit::run_bounded(conn, &mark(first), |conn| conn.settle(&changes).map(Some))?
    {
        let moved = changes.iter().filter(|change| is_of(change, &settled));
        notify::committed(moved.clone().filter_map(Notification::of));
        moved.for_each(|change| change.taken().count());
        return Ok(settled);
    }
    transaction::run_bounded(conn, &mut |conn| {
        let settled = conn.settle(&changes).explain(conn)?;
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
    let ended = transaction::run_bounded(conn, &mut |conn| {
        let locked = if plan.landing.destroys {
            conn.flows::<TryFreeFlow>(&binds)
        } else {
            conn.flows::<TryLockFlow>(&binds)
        };
        let locked = locked.explain_for(conn, plan.record)?;
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
    if plan.landing.destroys {
        let binds = [Bind::Int(fence.id), Bind::Text(plan.record.flow)];
        return Ok(read(conn, plan.record, |conn| conn.flows::<FindFlow>(&binds))?.is_empty());
    }
    let binds = [Bind::Int(fence.id), Bind::Int(fence.seq.saturating_add(1))];
    let rows = read(conn, plan.record, |conn| conn.counts::<TokenOf>(&binds))?;
    Ok(rows.first().is_some_and(|row| row.label == plan.notes.token))
}

pub(crate) fn end<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    plan: &Plan,
) -> Result<()> {
    let ended = apply(conn, plan, &mut Claimed(standing(step, fence)));
    if let Err(Error::LeaseLost { .. }) = &ended {
        metrics::claim_lost(step.flow, step.name);
    }
    ended.map(drop)
}

/// Where the row of a held claim stands.
pub(crate) fn standing(step: &StepSpec, fence: &Fence) -> Standing<'static> {
    Standing { seq: fence.seq, state: step.running, is_error: false, attempts: fence.attempts }
}

/// The subject of a fenced transition: nothing of it needs the user's types.
struct Claimed(Standing<'static>);

impl<C> Subject<C> for Claimed {
    fn remembered(&self) -> Option<Standing<'static>> {
        Some(self.0)
    }

    fn is_plain(&self) -> bool {
        true
    }

    fn refresh(&mut self, _: FlowRow) -> Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _: &mut C) -> Result<(Standing<'static>, Option<(String, u32)>)> {
        Ok((self.0, None))
    }

    fn load(&mut self, _: bool, _: &mut Newest<'_>) -> Result<()> {
        Ok(())
    }
}

/// Which of these claims the rows say that the worker holds, each as its record's id and `seq`.
pub(crate) fn held_by<'f, C: Dialect>(
    conn: &mut C,
    worker: &str,
    claims: impl Iterator<Item = &'f Fence>,
) -> Result<HashSet<(i64, i64)>> {
    let ids = claims.map(|fence| fence.id).collect::<serde_json::Value>().to_string();
    let rows = conn.counts::<HeldBy>(&[Bind::Text(worker), Bind::Text(&ids)]).explain(conn)?;
    Ok(rows.iter().filter_map(|row| Some((row.label.parse().ok()?, row.number))).collect())
}

/// Locks the row. The row, if it is still where the start transition left it.
pub(crate) fn lock_held<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
) -> Result<Option<FlowRow>> {
    let rows = conn.flows::<LockFlow>(&[Bind::Int(fence.id), Bind::Text(step.flow)]);
    let record = RecordRef { flow: step.flow, id: Some(fence.id) };
    let rows = rows.explain_for(conn, record)?;
    let row = rows.into_iter().next().filter(|row| row.seq == fence.seq);
    let Some(row) = row else { return Ok(None) };
    Ok(is_holder(conn, record, fence.id, &fence.worker)?.then_some(row))
}

#[cfg(test)]
mod tests {
    use flowstate::{Flow, IntoStep as _};
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Flow, Serialize, Deserialize)]
    #[state(Written, Carrying, Read, Lost(error))]
    #[initial(Written)]
    #[completed(Read)]
    #[step(carry: Written | Lost => Carrying => Read, fail(Lost))]
    struct Letter;

    #[test]
    fn an_outcome_that_the_step_does_not_have_is_an_error() {
        let step = StepSpec::of::<LetterCarry>(Letter::NAME, Arc::new(Letter::CARRY.into_policy()));
        let fence = Fence { id: 7, seq: 1, attempts: 0, worker: "w".into() };
        let plan = |at| finish_plan(&step, &fence, Outcome { at, artefacts: Vec::new() });
        assert_eq!(plan(0).expect("the only one").links.len(), 1);
        let error = plan(1).expect_err("there is none");
        assert_eq!(
            error.to_string(),
            "letter #7: `carry` has 1 outcomes, and was to end by number 1; derive `Flow` with \
             the same version of flowstate rather than implement `Step` by hand"
        );
    }
}
