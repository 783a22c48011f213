//! How a claim ends: finished or failed. Both are fenced by the claim's `seq` and its holder.

use std::sync::Arc;
use std::time::Duration;

use flowstate::NextTry;

use crate::dialect::Dialect;
use crate::dialect::change::{Link, Notes, Standing, Timing};
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::LockFlow;
use crate::dialect::sql::statement::Bind;
use crate::error::{RecordRef, Result};
use crate::text::json;
use crate::transaction::explain::explain;
use crate::transaction::token::token;
use crate::transition::apply::{Newest, Plan, Subject, apply, is_holder};
use crate::transition::request::micros;
use crate::worker::step::backoff;
use crate::worker::step::error::{StepError, text};
use crate::worker::step::{Landing, StepSpec};

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

/// How a claim is to end, as data.
#[derive(Debug)]
pub(crate) enum End {
    /// By these transitions, the first of which has the artefacts.
    Finish { links: Vec<Link>, landing: Landing },
    /// By the fail transition: the error says when the next try is.
    Fail(StepError),
}

/// A claim to be extended, as [`Dialect::extend_leases`] takes it.
pub(crate) fn lease(fence: &Fence, step: &StepSpec) -> serde_json::Value {
    serde_json::json!([fence.id, fence.seq, micros(step.lease)])
}

/// What a claim's end writes.
pub(crate) fn end_plan(step: &StepSpec, fence: &Fence, end: End) -> Result<Plan> {
    match end {
        End::Finish { links, landing } => {
            let timing = Timing { attempts: Some(0), ..landing.timing };
            plan(step, fence, links, landing, timing, None)
        }
        End::Fail(error) => fail_plan(step, fence, &error),
    }
}

/// What the finish transition writes, and those that follow at once.
pub(crate) fn finish_plan(
    step: &StepSpec,
    fence: &Fence,
    artefacts: Vec<(&'static str, String)>,
) -> Result<Plan> {
    end_plan(step, fence, step.finish(artefacts))
}

/// When a try that failed so is followed by the next one; `None` for never.
pub(crate) fn next_try(step: &StepSpec, fence: &Fence, error: &StepError) -> Option<Duration> {
    let left = backoff::pause(&step.retry, fence.attempts.saturating_add(1));
    let pause = match error.next_try() {
        NextTry::Backoff => left,
        NextTry::After(pause) | NextTry::NotYet(pause) => left.map(|_| pause),
        NextTry::Never => None,
    };
    pause.filter(|_| !step.failed.completes)
}

/// What the fail transition writes.
pub(crate) fn fail_plan(step: &StepSpec, fence: &Fence, error: &StepError) -> Result<Plan> {
    let failed = fence.attempts.saturating_add(1);
    let due_in = next_try(step, fence, error).map(micros);
    let timing = Timing { due_in, attempts: Some(failed), ..step.failed.timing };
    let error = Some(json::clean_error(&text(error)));
    plan(step, fence, vec![(step.fail)()], step.failed, timing, error)
}

pub(super) fn plan(
    step: &StepSpec,
    fence: &Fence,
    links: Vec<Link>,
    landing: Landing,
    timing: Timing<'static>,
    error: Option<String>,
) -> Result<Plan> {
    Ok(Plan {
        record: RecordRef { flow: step.flow, id: Some(fence.id) },
        id: fence.id,
        links,
        notes: Notes { error, token: token()?, ..Notes::default() },
        completes: landing.completes,
        destroys: landing.destroys,
        timing,
        held_by: Some(Arc::clone(&fence.worker)),
    })
}

/// Ends a claim.
///
/// # Errors
/// [`Error::LeaseLost`](crate::Error::LeaseLost) if it is no longer held by whom the fence names.
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

/// Locks the row. Whether it is still where the start transition left it, in the same hands.
pub(crate) fn is_held<C: Dialect>(conn: &mut C, step: &StepSpec, fence: &Fence) -> Result<bool> {
    let rows = conn.flows::<LockFlow>(&[Bind::Int(fence.id), Bind::Text(step.flow)]);
    let record = RecordRef { flow: step.flow, id: Some(fence.id) };
    let rows = rows.map_err(|error| explain(conn, Some(record), error))?;
    if rows.first().is_none_or(|row| row.seq != fence.seq) {
        return Ok(false);
    }
    is_holder(conn, record, fence.id, &fence.worker)
}
