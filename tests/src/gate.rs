//! Meeting points of a test and the code that it watches: nobody sleeps to be on time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So long and a test is hanging.
const PATIENCE: Duration = Duration::from_mins(1);

/// A gate at which code waits until the test opens it, and the test until code has come.
#[derive(Debug, Default)]
pub struct Gate {
    at: Mutex<At>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct At {
    come: usize,
    open: bool,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Says that somebody has come, and goes on.
    pub fn note(&self) {
        self.lock().come += 1;
        self.changed.notify_all();
    }

    /// Says that somebody has come, and waits until the gate is open.
    pub fn pass(&self) {
        self.note();
        self.wait_while(|at| !at.open);
    }

    /// Lets everybody through, from now on.
    pub fn open(&self) {
        self.lock().open = true;
        self.changed.notify_all();
    }

    /// Waits until so many have come.
    pub fn wait_for(&self, come: usize) {
        self.wait_while(|at| at.come < come);
    }

    /// Waits until somebody has come, here or elsewhere, which `elsewhere` tells when asked.
    pub fn wait_for_one(&self, mut elsewhere: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while self.come() == 0 && !elsewhere() {
            assert!(Instant::now() < until, "nobody came for {PATIENCE:?}");
            std::thread::yield_now();
        }
    }

    /// How many have come.
    #[must_use]
    pub fn come(&self) -> usize {
        self.lock().come
    }

    fn wait_while(&self, mut not_yet: impl FnMut(&At) -> bool) {
        let until = Instant::now() + PATIENCE;
        let mut at = self.lock();
        while not_yet(&at) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nobody came for {PATIENCE:?}: {at:?}");
            let waited = self.changed.wait_timeout(at, left);
            at = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
