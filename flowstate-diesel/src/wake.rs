//! Tells the workers of this process that something was committed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Somebody who wants to know of commits.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

static SLEEPERS: Mutex<Vec<Weak<dyn Wake>>> = Mutex::new(Vec::new());
/// Spares a transition the lock where no worker runs.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// From now on, until it is dropped, `sleeper` is woken by every commit.
pub(crate) fn register(sleeper: &Arc<impl Wake + 'static>) {
    let sleeper: Arc<dyn Wake> = sleeper.clone();
    let mut sleepers = SLEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
    sleepers.retain(|sleeper| sleeper.strong_count() > 0);
    sleepers.push(Arc::downgrade(&sleeper));
    COUNT.store(sleepers.len(), Ordering::Release);
}

/// A transition was committed.
pub(crate) fn committed() {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    // wake outside the lock: it is foreign code
    let sleepers: Vec<_> = SLEEPERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .filter_map(Weak::upgrade)
        .collect();
    for sleeper in sleepers {
        sleeper.wake();
    }
}
