//! Panics outside of handlers: of a user's instrumentation, of a subscriber of `tracing`, of the
//! `Drop` of a user's error. They cost no thread, and no claim is held for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};
use crate::transaction::hooks::panic_text;
pub(in crate::worker) use crate::unwind::report;

/// Runs `work`; its panic becomes an error.
pub(in crate::worker) fn caught<R>(doing: &str, work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let panic = panic_text(&*panic).to_owned();
        Err(Error::Panicked { doing: doing.to_owned(), panic })
    })
}
