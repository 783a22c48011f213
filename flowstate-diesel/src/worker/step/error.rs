//! Why a handler failed, as text.

use std::panic::{AssertUnwindSafe, catch_unwind};

use flowstate::StepError;

use crate::text::chain::chain;
use crate::transaction::hooks::panic_text;

/// The texts of the error and its causes. They are the user's code, which may panic.
pub(crate) fn text(error: &StepError) -> String {
    let text = catch_unwind(AssertUnwindSafe(|| chain(error.source())));
    text.unwrap_or_else(|panic| {
        format!("an error whose text cannot be had: it panicked: {}", panic_text(&*panic))
    })
}
