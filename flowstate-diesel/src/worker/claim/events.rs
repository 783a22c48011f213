//! What is told to `tracing` of a claim's end, by whatever way it came: see `docs/observing.md`,
//! whose names are stable.

use std::time::Duration;

use flowstate::StepError;

use super::settle::{Fence, Settled};
use crate::error::Error;
use crate::metrics;
use crate::text::chain::chain;
use crate::worker::step::StepSpec;
use crate::worker::step::error::text;

/// How a claim of a worker ended.
pub(crate) fn settled(step: &StepSpec, fence: &Fence, settled: &Settled) {
    match settled {
        Settled::Finished => finished(step, fence),
        Settled::Failed { error, next } => failed(step, fence, error, *next),
        Settled::PutOff => put_off(step, fence),
        Settled::LeftAlone { error, records } => left_alone(step, fence, error, *records),
    }
}

/// A claim of a worker came to nothing.
pub(crate) fn unsettled(step: &StepSpec, fence: &Fence, error: &Error) {
    let (flow, id, step, attempt) = of(step, fence);
    tracing::warn!(flow, id, step, attempt, error = chain(error), "a claim was not settled");
}

pub(crate) fn finished(step: &StepSpec, fence: &Fence) {
    let (flow, id, step, attempt) = of(step, fence);
    tracing::debug!(flow, id, step, attempt, "finished");
}

/// `next`: the pause before a step takes the record again, if one does.
pub(crate) fn failed(step: &StepSpec, fence: &Fence, error: &StepError, next: Option<Duration>) {
    let (flow, id, step, attempt) = of(step, fence);
    let (error, again) = (text(error), next.is_some());
    metrics::gave_up(flow, step, usize::from(!again));
    tracing::warn!(flow, id, step, attempt, again, error, "failed");
}

pub(crate) fn put_off(step: &StepSpec, fence: &Fence) {
    let (flow, id, step, attempt) = of(step, fence);
    tracing::debug!(flow, id, step, attempt, "put off");
}

/// `records`: how many wait like this one.
fn left_alone(step: &StepSpec, fence: &Fence, error: &Error, records: usize) {
    let (flow, id, step, attempt) = of(step, fence);
    let error = chain(error);
    tracing::warn!(
        flow,
        id,
        step,
        attempt,
        records,
        error,
        "left alone: this program cannot read the record"
    );
}

pub(crate) fn released(step: &StepSpec, fence: &Fence) {
    let (flow, id, step, attempt) = of(step, fence);
    tracing::info!(flow, id, step, attempt, "released");
}

/// A record to which something could not be done is passed over from now on. `work` is what.
pub(crate) fn passed_over(flow: &str, id: i64, work: &str, error: &Error) {
    let error = chain(error);
    tracing::warn!(flow, id, work, error, "passed over");
}

fn of(step: &StepSpec, fence: &Fence) -> (&'static str, i64, &'static str, i32) {
    (step.flow, fence.id, step.name, fence.attempts.saturating_add(1))
}
