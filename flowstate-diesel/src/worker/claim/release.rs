//! Giving a record back: to the state from which it was claimed, whatever a failed try would do.

use std::time::Duration;

use super::settle::{Fence, end, plan};
use crate::dialect::Dialect;
use crate::dialect::change::{Landing, Link, Plan, Timing};
use crate::dialect::sql::shared::CameFrom;
use crate::dialect::sql::statement::Bind;
use crate::dialect::tries::Tries;
use crate::error::{Error, RecordRef, Result};
use crate::operator::standing::unreadable;
use crate::text::time::micros;
use crate::transaction::read::read;
use crate::worker::step::{Origin, StepSpec};

/// The name in the history. No transition has one with a dot.
pub(crate) const RELEASE: &str = "claim.release";

/// The name in the history of a claim whose handler said that it is too early.
const NOT_YET: &str = "claim.not_yet";

/// Why a record goes back to where it was claimed, before the step's end. The try does not count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Back<'w> {
    /// Given back, for this reason: it can be claimed again at once.
    Released(&'w str),
    /// Its handler said that it is too early: it is due after the pause.
    NotYet(Duration),
    /// This program cannot read it, by this error: it is due for those who can after the pause.
    LeftAlone(Duration, &'w Error),
}

/// Puts the record back.
pub(crate) fn put_back<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    why: Back<'_>,
) -> Result<()> {
    let plan = back_plan(conn, step, fence, why)?;
    end(conn, step, fence, &plan)
}

/// How the record goes back.
pub(crate) fn back_plan<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    fence: &Fence,
    why: Back<'_>,
) -> Result<Plan> {
    let (transition, pause, why) = match why {
        Back::Released(why) => (RELEASE, Duration::ZERO, Some(why.to_owned())),
        Back::NotYet(pause) => (NOT_YET, pause, None),
        Back::LeftAlone(pause, error) => (RELEASE, pause, Some(unreadable(error))),
    };
    let Origin { name, is_error, timing } = origin(conn, step, fence)?;
    let timing = Timing { due_in: Some(micros(pause)), attempts: Some(fence.attempts), ..timing };
    let (to_error, tries, artefacts) = (is_error, Tries::Anew, Vec::new());
    let link = Link { transition, to: name, to_error, tries, artefacts, has_labels: false };
    let landing = Landing { completes: false, destroys: false, timing };
    plan(step, fence, vec![link], landing, why)
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
