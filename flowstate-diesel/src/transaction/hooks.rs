//! The hooks of a transaction, after its commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::scope::Hook;
pub(crate) use crate::unwind::panic_text;
use crate::unwind::{discard, report};

/// Runs hooks after the commit. Nothing they do can undo it, so a failure is only reported.
pub(crate) fn run_hooks(hooks: Vec<Hook>) {
    for hook in hooks {
        run_hook(&hook.mark.record.to_string(), hook.run);
    }
}

pub(crate) fn run_hook(record: &str, hook: Box<dyn FnOnce()>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(hook)) {
        report(|| {
            let panic = panic_text(&*panic);
            tracing::error!(
                record,
                panic,
                "an after_commit hook panicked; the transition is committed"
            );
        });
        discard(panic);
    }
}
