//! What is counted, for whatever recorder the program installs with the facade `metrics`: see
//! `docs/observing.md`, whose names are stable. Without the feature of that name nothing here does
//! anything.

#![cfg_attr(
    not(feature = "metrics"),
    allow(
        unused_variables,
        clippy::needless_pass_by_value,
        clippy::unused_self,
        reason = "nothing is counted"
    )
)]

use std::borrow::Cow;
#[cfg(feature = "metrics")]
use std::time::Instant;

use flowstate::StepError;
#[cfg(feature = "metrics")]
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

use crate::error::ConflictReason;

/// The name of the first row of a history, as a transition.
pub(crate) const CREATE: &str = "flow.create";
/// The deletion of a record by its own call, as a transition.
pub(crate) const DESTROY: &str = "flow.destroy";
/// The deletion of a record by a purge, as a transition.
pub(crate) const PURGE: &str = "flow.purge";

/// The name of a flow or a transition: that of a declaration, or one that was read.
type Name = Cow<'static, str>;

/// The transitions of a transaction that is still open: counted when it has committed.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The flow, the transition, and how often.
    #[cfg(feature = "metrics")]
    taken: Vec<(Name, Name, u64)>,
}

impl Taken {
    pub(crate) fn add(&mut self, flow: impl Into<Name>, transition: impl Into<Name>, times: usize) {
        #[cfg(feature = "metrics")]
        {
            let (flow, transition) = (flow.into(), transition.into());
            let times = u64::try_from(times).unwrap_or_default();
            match self.taken.iter_mut().find(|taken| taken.0 == flow && taken.1 == transition) {
                Some((_, _, before)) => *before += times,
                None => self.taken.push((flow, transition, times)),
            }
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        #[cfg(feature = "metrics")]
        for (flow, transition, times) in other.taken {
            self.add(flow, transition, usize::try_from(times).unwrap_or_default());
        }
    }

    /// Counts them: they are committed.
    pub(crate) fn count(self) {
        #[cfg(feature = "metrics")]
        for (flow, transition, times) in self.taken {
            asked(flow, transition, "done", times);
        }
    }
}

/// Counts transitions that are committed.
pub(crate) fn taken(flow: &'static str, transition: &'static str, times: usize) {
    let mut taken = Taken::default();
    taken.add(flow, transition, times);
    taken.count();
}

/// Counts a transition that was asked for and not taken.
pub(crate) fn refused(flow: &'static str, transition: &'static str, outcome: &'static str) {
    asked(flow, transition, outcome, 1);
}

fn asked(flow: impl Into<Name>, transition: impl Into<Name>, outcome: &'static str, times: u64) {
    #[cfg(feature = "metrics")]
    if times > 0 {
        let (flow, transition) = (flow.into(), transition.into());
        counter!(
            "flowstate_transitions_total",
            "flow" => flow, "transition" => transition, "outcome" => outcome
        )
        .increment(times);
    }
}

/// Counts a conflict that a transaction met, whether or not a further try succeeds.
pub(crate) fn conflict(reason: ConflictReason) {
    #[cfg(feature = "metrics")]
    {
        let reason = match reason {
            ConflictReason::Busy => "busy",
            ConflictReason::Deadlock => "deadlock",
            ConflictReason::Serialization => "serialization",
            ConflictReason::LockTimeout => "lock_timeout",
            ConflictReason::StatementTimeout => "statement_timeout",
        };
        counter!("flowstate_conflicts_total", "reason" => reason).increment(1);
    }
}

/// Counts claims that were failed over because their lease had run out.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn leases_expired(flow: &'static str, step: &'static str, times: usize) {
    of_step("flowstate_leases_expired_total", flow, step, times);
}

/// Counts a claim that was not held any more when it was to be ended.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn claim_lost(flow: &'static str, step: &'static str) {
    of_step("flowstate_claims_lost_total", flow, step, 1);
}

/// Counts failed tries after which no further one is made.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn gave_up(flow: &'static str, step: &'static str, times: usize) {
    of_step("flowstate_give_ups_total", flow, step, times);
}

#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
fn of_step(name: &'static str, flow: &'static str, step: &'static str, times: usize) {
    #[cfg(feature = "metrics")]
    if let Some(times) = u64::try_from(times).ok().filter(|times| *times > 0) {
        counter!(name, "flow" => flow, "step" => step).increment(times);
    }
}

/// Tells that nothing has gone wrong yet with a step: of a number that is told for the first time nobody
/// sees that it has grown.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn begin(flow: &'static str, step: &'static str) {
    #[cfg(feature = "metrics")]
    for name in [
        "flowstate_leases_expired_total",
        "flowstate_claims_lost_total",
        "flowstate_give_ups_total",
    ] {
        counter!(name, "flow" => flow, "step" => step).increment(0);
    }
}

/// Runs a handler, and says how long it took.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn timed<R>(
    flow: &'static str,
    step: &'static str,
    handler: impl FnOnce() -> Result<R, StepError>,
) -> Result<R, StepError> {
    #[cfg(feature = "metrics")]
    let mut timer = Timer { flow, step, begun: Instant::now(), outcome: "panicked" };
    let result = handler();
    #[cfg(feature = "metrics")]
    {
        timer.outcome = match &result {
            Ok(_) => "finished",
            Err(error) if matches!(error.next_try(), flowstate::NextTry::NotYet(_)) => "put_off",
            Err(_) => "failed",
        };
    }
    result
}

/// Tells how long a handler took when it is dropped: after a panic, too.
#[cfg(feature = "metrics")]
struct Timer {
    flow: &'static str,
    step: &'static str,
    begun: Instant,
    outcome: &'static str,
}

#[cfg(feature = "metrics")]
impl Drop for Timer {
    fn drop(&mut self) {
        let Self { flow, step, begun, outcome } = *self;
        metrics::histogram!(
            "flowstate_handler_duration_seconds",
            "flow" => flow, "step" => step, "outcome" => outcome
        )
        .record(begun.elapsed());
    }
}

/// How many records are in a state, and since how many seconds the oldest is due; 0 if none is.
#[cfg(all(feature = "metrics", feature = "r2d2"))]
pub(crate) fn state(flow: &'static str, state: &'static str, records: u32, oldest_due: f64) {
    metrics::gauge!("flowstate_records", "flow" => flow, "state" => state).set(records);
    metrics::gauge!("flowstate_oldest_due_seconds", "flow" => flow, "state" => state)
        .set(oldest_due);
}

/// How many records of a flow nothing will move by itself.
#[cfg(all(feature = "metrics", feature = "r2d2"))]
pub(crate) fn stuck(flow: &'static str, records: u32) {
    metrics::gauge!("flowstate_records_stuck", "flow" => flow).set(records);
}

/// Tells the recorder what is counted, in words.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    {
        describe_counter!("flowstate_transitions_total", "Transitions asked for, by how it ended.");
        describe_counter!("flowstate_conflicts_total", "Conflicts that transactions met.");
        describe_counter!("flowstate_leases_expired_total", "Claims of the dead, failed over.");
        describe_counter!("flowstate_claims_lost_total", "Claims that ended too late.");
        describe_counter!("flowstate_give_ups_total", "Failed tries that no other one follows.");
        describe_histogram!(
            "flowstate_handler_duration_seconds",
            Unit::Seconds,
            "How long handlers took."
        );
        describe_gauge!("flowstate_records", "Records in a state, 10,000 at the most.");
        describe_gauge!("flowstate_records_stuck", "Records that nothing will move by itself.");
        describe_gauge!(
            "flowstate_oldest_due_seconds",
            Unit::Seconds,
            "For how long the oldest record of a state has been due."
        );
    }
}
