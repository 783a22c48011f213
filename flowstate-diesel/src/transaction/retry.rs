//! How often and how long a transaction that met a conflict is tried again.

use std::time::{Duration, Instant};

use crate::error::ConflictReason;

/// No further try after so many.
const MOST_TRIES: u32 = 20;
/// No further try after so long: a lock that was waited for as long as the database allows is not
/// waited for again.
const LONGEST: Duration = Duration::from_secs(2);
/// A lock that was waited for so long is not waited for again where waits are bounded: they last a
/// second.
const WAITED: Duration = Duration::from_millis(600);
/// The first pause is at most this, each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The tries of one transaction.
#[derive(Debug)]
pub(crate) struct Tries {
    started: Instant,
    pub(crate) made: u32,
}

impl Tries {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), made: 1 }
    }

    pub(crate) fn waited(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether somebody's lock has been waited for as long as bounded waits are: who tries again keeps
    /// others waiting.
    pub(crate) fn have_waited(&self, reason: ConflictReason) -> bool {
        reason == ConflictReason::LockTimeout && self.waited() >= WAITED
    }

    /// Pauses before the next try. `false` if there is none left.
    ///
    /// The pause is random up to its limit ("full jitter"), so that those who collided do not
    /// collide again.
    pub(crate) fn again(&mut self) -> bool {
        if self.made >= MOST_TRIES || self.waited() >= LONGEST {
            return false;
        }
        let limit = FIRST_PAUSE.saturating_mul(1 << (self.made - 1).min(16)).min(LONGEST_PAUSE);
        std::thread::sleep(limit.mul_f64(fastrand::f64()));
        self.made += 1;
        true
    }
}
