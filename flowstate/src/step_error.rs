//! Why a handler failed, and what that means for the next try.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The error of a handler: any error, by `?`, with what it means for the next try.
///
/// ```
/// use std::time::Duration;
/// use flowstate::StepError;
///
/// fn status(code: u16) -> Result<(), StepError> {
///     match code {
///         202 => Err(StepError::not_yet(Duration::from_secs(30))),
///         404 => Err(StepError::permanent("there is no such customer")),
///         429 => Err(StepError::retry_after(Duration::from_secs(60), "too many requests")),
///         500.. => Err("the server failed".into()), // tried again after the step's backoff
///         _ => Ok(()),
///     }
/// }
/// # assert!(status(202).is_err() && status(404).is_err() && status(429).is_err());
/// # assert!(status(500).is_err());
/// ```
pub struct StepError {
    source: Box<dyn Error + Send + Sync>,
    next: NextTry,
}

/// When a step that returned an error is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextTry {
    /// After the step's backoff, if an attempt is left.
    Backoff,
    /// After so long, if an attempt is left.
    After(Duration),
    /// After so long, from where the record was claimed: this try does not count.
    NotYet(Duration),
    /// Never by itself.
    Never,
}

impl StepError {
    /// No further try can help: the record goes at once to where the last failed try leads.
    pub fn permanent(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: error.into(), next: NextTry::Never }
    }

    /// The next try, if an attempt is left, is made so long from now.
    pub fn retry_after(pause: Duration, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: error.into(), next: NextTry::After(pause) }
    }

    /// Nothing failed, but it is too early: the record goes back to where it was claimed from and is
    /// due after the pause. The try does not count.
    #[must_use]
    pub fn not_yet(pause: Duration) -> Self {
        Self { source: "not yet".into(), next: NextTry::NotYet(pause) }
    }

    /// The error itself.
    #[must_use]
    pub fn source(&self) -> &(dyn Error + 'static) {
        &*self.source
    }

    /// When the step is tried again.
    #[must_use]
    pub fn next_try(&self) -> NextTry {
        self.next
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for StepError {
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
