//! How long a failed step waits, and how often it is tried.

use std::time::Duration;

use flowstate::Backoff;

/// The pause after so many failed tries in a row, from 1. `None` when they are used up.
pub(crate) fn pause(backoff: &Backoff, failed: i32) -> Option<Duration> {
    backoff.pause(failed, fastrand::f64())
}
