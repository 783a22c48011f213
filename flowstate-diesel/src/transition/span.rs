//! The spans of calls that begin or end a record; a transition has one of its own.

use flowstate::Flow;

use crate::error::{Error, Result};

/// Runs `call` in a span, which is told the id of the record if only `id` of its result knows it.
pub(crate) fn spanned<F: Flow, R>(
    name: &'static str,
    known: Option<i64>,
    call: impl FnOnce() -> Result<R>,
    id: impl FnOnce(&R) -> Option<i64>,
) -> Result<R> {
    let span = tracing::debug_span!(
        "flowstate.call",
        flow = F::NAME,
        id = known,
        call = name,
        outcome = tracing::field::Empty,
    );
    let _entered = span.enter();
    let result = call();
    if let Ok(value) = &result
        && known.is_none()
        && let Some(id) = id(value)
    {
        span.record("id", id);
    }
    span.record("outcome", if let Err(error) = &result { outcome(error) } else { "done" });
    result
}

/// One word for how a call ended.
pub(crate) fn outcome(error: &Error) -> &'static str {
    match error {
        Error::InvalidTransition { .. } => "invalid",
        Error::GuardRejected { .. } => "rejected",
        Error::Conflict { .. } => "conflict",
        Error::OutcomeUnknown(_) => "unknown",
        _ => "failed",
    }
}
