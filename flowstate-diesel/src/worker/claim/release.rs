//! Giving a record back: to the state from which it was claimed, whatever a failed try would do.

use std::time::Duration;

use super::settle::{Fence, end, plan, standing};
use crate::dialect::Dialect;
use crate::dialect::change::{Link, Timing};
use crate::dialect::sql::shared::{CameFrom, FindFlow, TryLockFlow};
use crate::dialect::sql::statement::Bind;
use crate::error::{Error, RecordRef, Result};
use crate::text::time::micros;
use crate::transaction;
use crate::transaction::explain::explain;
use crate::transaction::read::read;
use crate::transition::apply::{Plan, write};
use crate::worker::step::{Landing, Origin, StepSpec};

/// The name in the history. No transition has one with a dot.
pub(crate) const RELEASE: &str = "claim.release";

/// The name in the history of a claim whose handler said that it is too early.
const NOT_YET: &str = "claim.not_yet";

/// Gives the record back: it can be claimed again at once, and the try does not count.
pub(crate) fn release<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    why: &str,
) -> Result<()> {
    let plan = release_plan(conn, step, fence, RELEASE, Duration::ZERO, Some(why))?;
    end(conn, step, fence, &plan)
}

/// Puts the step off: the record goes back, is due after the pause, and the try does not count.
pub(crate) fn put_off<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    pause: Duration,
) -> Result<()> {
    let plan = release_plan(conn, step, fence, NOT_YET, pause, None)?;
    end(conn, step, fence, &plan)
}

/// Leaves the record to those who can read it: it goes back, is due after the pause, and the try does
/// not count.
pub(crate) fn leave_alone<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    pause: Duration,
    why: &str,
) -> Result<()> {
    let plan = release_plan(conn, step, fence, RELEASE, pause, Some(why))?;
    end(conn, step, fence, &plan)
}

/// Gives the record back as [`release`] does, unless somebody else has locked the row: then `false`,
/// without waiting for them.
pub(crate) fn try_release<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    why: &str,
) -> Result<bool> {
    let plan = release_plan(conn, step, fence, RELEASE, Duration::ZERO, Some(why))?;
    let binds = [Bind::Int(fence.id), Bind::Text(step.flow)];
    let released = transaction::run(conn, &mut |conn| {
        let locked = conn.flows::<TryLockFlow>(&binds);
        let locked = locked.map_err(|error| explain(conn, Some(plan.record), error))?;
        if locked.is_empty() {
            return Ok(false);
        }
        match write(conn, &plan.change(standing(step, fence), None))? {
            Some(_) => Ok(true),
            None => Err(plan.lease_lost()),
        }
    })?;
    if !released {
        // inside the transaction a plain read may wait for the lock, too
        let rows = read(conn, plan.record, |conn| conn.flows::<FindFlow>(&binds))?;
        rows.first().filter(|row| row.seq == fence.seq).ok_or_else(|| plan.lease_lost())?;
    }
    Ok(released)
}

fn release_plan<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    transition: &'static str,
    pause: Duration,
    why: Option<&str>,
) -> Result<Plan> {
    let Origin { name, is_error, timing } = origin(conn, step, fence)?;
    let timing = Timing { due_in: Some(micros(pause)), attempts: Some(fence.attempts), ..timing };
    let (to_error, artefacts) = (is_error, Vec::new());
    let link = Link { transition, to: name, to_error, tries_again: true, artefacts };
    let landing = Landing { completes: false, destroys: false, timing };
    plan(step, fence, vec![link], landing, why.map(str::to_owned))
}

/// Where the record was before it was claimed.
fn origin<C: Dialect>(conn: &mut C, step: &StepSpec, fence: &Fence) -> Result<Origin> {
    let record = RecordRef { flow: step.flow, id: Some(fence.id) };
    let binds = [Bind::Int(fence.id), Bind::Int(fence.seq)];
    let came = read(conn, record, |conn| conn.counts::<CameFrom>(&binds))?;
    // the history of a record goes with it
    let Some(came) = came.into_iter().next() else {
        return Err(Error::LeaseLost { record, transition: RELEASE });
    };
    let found = step.origins.iter().find(|origin| origin.name == came.label);
    found.copied().ok_or(Error::UnknownState { record, state: came.label })
}
