//! The hooks of a transaction, after its commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::scope::Hook;

/// Runs hooks after the commit. Nothing they do can undo it, so a failure is only reported.
pub(crate) fn run_hooks(hooks: Vec<Hook>) {
    for hook in hooks {
        run_hook(&hook.mark.record.to_string(), hook.run);
    }
}

pub(crate) fn run_hook(record: &str, hook: Box<dyn FnOnce()>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(hook)) {
        let panic = panic_text(&*panic);
        tracing::error!(
            record,
            panic,
            "an after_commit hook panicked; the transition is committed"
        );
    }
}

/// The text of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
