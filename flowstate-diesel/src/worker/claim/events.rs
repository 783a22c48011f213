//! What is told to `tracing` of a claim's end, by whatever way it came: see `docs/observing.md`,
//! whose names are stable.

use super::settle::{Fence, next_try};
use crate::worker::step::StepSpec;
use crate::worker::step::error::{StepError, text};

pub(crate) fn finished(step: &StepSpec, fence: &Fence) {
    let (flow, id, step, attempt) = of(step, fence);
    tracing::debug!(flow, id, step, attempt, "finished");
}

pub(crate) fn failed(of_step: &StepSpec, fence: &Fence, error: &StepError) {
    let (flow, id, step, attempt) = of(of_step, fence);
    let again = next_try(of_step, fence, error).is_some();
    tracing::warn!(flow, id, step, attempt, again, error = text(error), "failed");
}

pub(crate) fn released(step: &StepSpec, fence: &Fence) {
    let (flow, id, step, attempt) = of(step, fence);
    tracing::info!(flow, id, step, attempt, "released");
}

fn of(step: &StepSpec, fence: &Fence) -> (&'static str, i64, &'static str, i32) {
    (step.flow, fence.id, step.start, fence.attempts.saturating_add(1))
}
