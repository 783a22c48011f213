//! The trace context of the caller, kept with what it writes, so that the handler that comes of it
//! can be linked to it. Programs without the hook pay nothing for it.

use std::panic::catch_unwind;
use std::sync::{Arc, PoisonError, RwLock};

use crate::dialect::Dialect;
use crate::dialect::change::Change;
use crate::dialect::sql::shared::{KeepTraceContext, KeptTraceContext};
use crate::dialect::sql::statement::Bind;
use crate::error::{RecordRef, Result};
use crate::transaction::explain::explain;
use crate::transaction::read::read;
use crate::unwind::{discard, report};

/// How many rows of a history are searched for the newest trace context.
const SEARCHED: i64 = 50;

type Hook = fn() -> Option<String>;

static HOOK: RwLock<Option<Hook>> = RwLock::new(None);

/// Has this program keep the trace context of whoever creates or moves a record, in the column
/// `traceparent` of the history. The last call counts, for the whole process.
///
/// `hook` is asked in the caller's thread, before anything is written, and gives the context that is
/// current there as W3C's [`traceparent`](https://www.w3.org/TR/trace-context/#traceparent-header),
/// such as `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`. Anything else is not kept, and
/// told to `tracing`; what the caller asked for is done all the same, after a panic of `hook`, too.
/// What workers themselves write has none.
///
/// A step then has the context of the last caller who moved its record:
/// [`Claim::traceparent`](flowstate::Claim::traceparent), and the field `traceparent` of the span
/// `flowstate.step`.
///
/// It costs a statement for each record that is moved with a context, and one for each claim.
pub fn trace_context(hook: fn() -> Option<String>) {
    *HOOK.write().unwrap_or_else(PoisonError::into_inner) = Some(hook);
}

/// The context of this thread, if the program keeps it.
pub(crate) fn current() -> Option<String> {
    let hook = hook()?;
    let given = catch_unwind(hook).unwrap_or_else(|panic| {
        discard(panic);
        None
    })?;
    if is_traceparent(&given) {
        return Some(given);
    }
    report(|| tracing::debug!("the hook of `trace_context` gave no `traceparent`"));
    None
}

/// Whether this program keeps contexts.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn is_kept() -> bool {
    hook().is_some()
}

fn hook() -> Option<Hook> {
    *HOOK.read().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the context with the rows that a change has written.
pub(crate) fn keep_with<C: Dialect>(conn: &mut C, change: &Change<'_>) -> diesel::QueryResult<()> {
    let Some(context) = &change.notes.traceparent else { return Ok(()) };
    keep(conn, context, change.id, (change.before.seq, change.after().seq))
}

/// Keeps the context with the rows of a history after `before`, up to `last`.
fn keep<C: Dialect>(
    conn: &mut C,
    context: &str,
    id: i64,
    (before, last): (i64, i64),
) -> diesel::QueryResult<()> {
    let binds = [Bind::Text(context), Bind::Int(id), Bind::Int(before), Bind::Int(last)];
    conn.run::<KeepTraceContext>(&binds).map(drop)
}

/// The context of the last caller who moved a record before it came to `seq`, if this program keeps
/// it, and if that is not long ago.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn kept<C: Dialect>(
    conn: &mut C,
    record: RecordRef,
    id: i64,
    seq: i64,
) -> Result<Option<Arc<str>>> {
    if !is_kept() {
        return Ok(None);
    }
    let binds = [Bind::Int(id), Bind::Int(seq.saturating_sub(SEARCHED)), Bind::Int(seq)];
    let rows = read(conn, record, |conn| conn.counts::<KeptTraceContext>(&binds))?;
    // others may have written to the column
    let kept = rows.into_iter().map(|row| row.label).find(|kept| is_traceparent(kept));
    Ok(kept.map(Into::into))
}

/// Keeps the context with the first row of a new record.
pub(crate) fn keep_with_creation<C: Dialect>(
    conn: &mut C,
    context: Option<&str>,
    record: RecordRef,
    id: i64,
) -> Result<()> {
    let Some(context) = context else { return Ok(()) };
    keep(conn, context, id, (-1, 0)).map_err(|error| explain(conn, Some(record), error))
}

/// Whether this is a `traceparent` of version 00: the version, the trace, the parent and the flags.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let [version, trace, parent, flags] = *parts else { return false };
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length| is_hex(part, length) && part.bytes().any(|sign| sign != b'0');
    version == "00" && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::is_traceparent;

    #[test]
    fn only_what_the_standard_calls_so_is_a_traceparent() {
        let right = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(right));
        let zeros = "0".repeat(32);
        for wrong in [
            "",
            "-",
            "---",
            "00-a-b-01",
            &right.to_uppercase(),
            &right.replacen("00", "ff", 1),
            &right[..54],
            &format!("{right}-"),
            &format!("{right}\0"),
            &format!(" {right}"),
            &right.replace('f', "é"),
            &right.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros),
            &right.replace("00f067aa0ba902b7", &zeros[..16]),
            &"x".repeat(10_000_000),
        ] {
            assert!(!is_traceparent(wrong), "{:?}", wrong.get(..60));
        }
    }
}
