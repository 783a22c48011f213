//! How a claim ends: finished or failed. Both are fenced by the claim's `seq`.

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
use crate::transition::apply::{Newest, Plan, Subject, apply};
use crate::transition::request::micros;
use crate::worker::step::backoff;
use crate::worker::step::error::{StepError, text};
use crate::worker::step::{Landing, StepSpec};

/// What identifies a claim: the record as the start transition left it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fence {
    pub(crate) id: i64,
    pub(crate) seq: i64,
    pub(crate) attempts: i32,
}

impl From<&FlowRow> for Fence {
    fn from(row: &FlowRow) -> Self {
        Self { id: row.id, seq: row.seq, attempts: row.attempts }
    }
}

/// A claim to be extended, as [`Dialect::extend_leases`] takes it.
pub(crate) fn lease(fence: Fence, step: &StepSpec) -> serde_json::Value {
    serde_json::json!([fence.id, fence.seq, micros(step.lease)])
}

/// Takes the finish transition and those that follow at once.
pub(crate) fn finish<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: Fence,
    artefacts: Vec<(&'static str, String)>,
) -> Result<()> {
    end(conn, step, fence, &finish_plan(step, fence, artefacts)?)
}

pub(crate) fn finish_plan(
    step: &StepSpec,
    fence: Fence,
    artefacts: Vec<(&'static str, String)>,
) -> Result<Plan> {
    let timing = Timing { attempts: Some(0), ..step.finished.timing };
    plan(step, fence, step.finish_links(artefacts), step.finished, timing, None)
}

/// Takes the fail transition; the next try is due after the backoff, or never.
pub(crate) fn fail<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: Fence,
    error: &StepError,
) -> Result<()> {
    let failed = fence.attempts.saturating_add(1);
    let left = backoff::pause(&step.retry, failed);
    let pause = match error.next_try() {
        NextTry::Backoff => left,
        NextTry::After(pause) | NextTry::NotYet(pause) => left.map(|_| pause),
        NextTry::Never => None,
    };
    let due_in = pause.filter(|_| !step.failed.completes).map(micros);
    let timing = Timing { due_in, attempts: Some(failed), ..step.failed.timing };
    let error = Some(json::clean_error(&text(error)));
    let plan = plan(step, fence, vec![(step.fail)()], step.failed, timing, error)?;
    end(conn, step, fence, &plan)
}

pub(super) fn plan(
    step: &StepSpec,
    fence: Fence,
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
        fenced: true,
    })
}

pub(super) fn end<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: Fence,
    plan: &Plan,
) -> Result<()> {
    apply(conn, plan, &mut Held(standing(step, fence))).map(drop)
}

/// Where the row of a held claim stands.
pub(crate) fn standing(step: &StepSpec, fence: Fence) -> Standing<'static> {
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

/// Locks the row. Whether it is still where the start transition left it.
pub(crate) fn is_held<C: Dialect>(conn: &mut C, step: &StepSpec, fence: Fence) -> Result<bool> {
    let rows = conn.flows::<LockFlow>(&[Bind::Int(fence.id), Bind::Text(step.flow)]);
    let record = RecordRef { flow: step.flow, id: Some(fence.id) };
    let rows = rows.map_err(|error| explain(conn, Some(record), error))?;
    Ok(rows.first().is_some_and(|row| row.seq == fence.seq))
}
