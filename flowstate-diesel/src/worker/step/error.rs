//! Why a handler failed, and what that means for the next try.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::error::BoxError;
use crate::transaction::hooks::panic_text;
use crate::transition::request::chain;

/// The error of a handler: any error, by `?`, with what it means for the next try.
///
/// ```
/// use std::time::Duration;
/// use flowstate_diesel::StepError;
///
/// fn status(code: u16) -> Result<(), StepError> {
///     match code {
///         404 => Err(StepError::permanent("there is no such customer")),
///         429 => Err(StepError::retry_after(Duration::from_secs(60), "too many requests")),
///         500.. => Err("the server failed".into()), // tried again after the step's backoff
///         _ => Ok(()),
///     }
/// }
/// # assert!(status(404).is_err() && status(429).is_err() && status(500).is_err());
/// ```
pub struct StepError {
    source: BoxError,
    pub(crate) next: NextTry,
}

/// When a failed step is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextTry {
    /// After the step's backoff.
    Backoff,
    /// After so long, if an attempt is left.
    After(Duration),
    Never,
}

impl StepError {
    /// No further try can help: the record goes to the error state at once and stays there.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self { source: error.into(), next: NextTry::Never }
    }

    /// The next try, if an attempt is left, is made so long from now.
    pub fn retry_after(pause: Duration, error: impl Into<BoxError>) -> Self {
        Self { source: error.into(), next: NextTry::After(pause) }
    }

    /// The error itself.
    #[must_use]
    pub fn source(&self) -> &(dyn std::error::Error + 'static) {
        &*self.source
    }

    /// The texts of the error and its causes. They are the user's code, which may panic.
    pub(crate) fn text(&self) -> String {
        let text = catch_unwind(AssertUnwindSafe(|| chain(&*self.source)));
        text.unwrap_or_else(|panic| {
            format!("an error whose text cannot be had: it panicked: {}", panic_text(&*panic))
        })
    }
}

impl<E: Into<BoxError>> From<E> for StepError {
    fn from(error: E) -> Self {
        Self { source: error.into(), next: NextTry::Backoff }
    }
}

impl fmt::Debug for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepError").field("source", &self.source).field("next", &self.next).finish()
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}
