//! Panics of code that belongs to others.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The text of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// Drops what belongs to others where a panic of its destructor must change nothing: the panic hook
/// has said what there is to say.
pub(crate) fn discard<T>(theirs: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(theirs))) {
        // whose own destructor may panic again
        std::mem::forget(panic);
    }
}

/// Tells a subscriber of `tracing` something; that it panics changes nothing.
pub(crate) fn report(tell: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(tell)) {
        discard(panic);
    }
}
