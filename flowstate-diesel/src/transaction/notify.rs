//! Tells the workers of this process what was committed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::dialect::change::{Change, NewFlow};

/// Says that a record has come to a state in which it is due at once, or in which no worker takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) flow: &'static str,
    pub(crate) state: &'static str,
    /// Whether it is due at once.
    pub(crate) is_due: bool,
}

impl Notification {
    pub(crate) fn of(change: &Change<'_>) -> Option<Self> {
        let (state, due_in) = (change.links.last()?.to, change.landing.timing.due_in);
        let is_due = due_in == Some(0) && !change.landing.destroys;
        (is_due || due_in.is_none()).then_some(Self { flow: change.record.flow, state, is_due })
    }

    pub(crate) fn of_new(new: &NewFlow<'_>) -> Option<Self> {
        // whether a time has come only the database knows
        let is_due = new.landing.timing.due_in == Some(0);
        is_due.then_some(Self { flow: new.flow, state: new.state, is_due })
    }
}

/// Somebody who wants to know of commits.
pub(crate) trait Listener: Send + Sync {
    /// Called after each commit that made something due with what it said, or with `None`: anything
    /// may be due by now.
    fn notify(&self, notification: Option<Notification>);

    /// Called after each commit that brought a record to rest: it is completed, or has given up.
    fn rested(&self, _: Notification) {}
}

static LISTENERS: Mutex<Vec<Weak<dyn Listener>>> = Mutex::new(Vec::new());
/// Spares a transition the lock where no worker runs.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// From now on, until it is dropped, `listener` is told of every commit.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn register(listener: &Arc<impl Listener + 'static>) {
    let listener: Arc<dyn Listener> = listener.clone();
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.retain(|listener| listener.strong_count() > 0);
    listeners.push(Arc::downgrade(&listener));
    COUNT.store(listeners.len(), Ordering::Release);
}

/// Tells every listener what was committed.
pub(crate) fn committed(notifications: impl IntoIterator<Item = Notification>) {
    if COUNT.load(Ordering::Acquire) > 0 {
        notifications.into_iter().for_each(|notification| tell(Some(notification)));
    }
}

/// Tells every listener that anything may be due by now.
pub(crate) fn everything() {
    tell(None);
}

fn tell(notification: Option<Notification>) {
    // outside the lock: it is foreign code
    let listeners: Vec<_> = LISTENERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .filter_map(Weak::upgrade)
        .collect();
    for listener in listeners {
        match notification.filter(|notification| !notification.is_due) {
            Some(rested) => listener.rested(rested),
            None => listener.notify(notification),
        }
    }
}
