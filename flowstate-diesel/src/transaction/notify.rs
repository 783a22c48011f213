//! Tells the workers of this process what was committed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::dialect::change::{Change, NewFlow};

/// A record has come to a state in which it is due at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) flow: &'static str,
    pub(crate) state: &'static str,
}

impl News {
    pub(crate) fn of(change: &Change<'_>) -> Option<Self> {
        let state = change.links.last()?.to;
        let is_due = change.timing.due_in == Some(0) && !change.destroys;
        is_due.then_some(Self { flow: change.record.flow, state })
    }

    pub(crate) fn of_new(new: &NewFlow<'_>) -> Option<Self> {
        // whether a time has come only the database knows
        let is_due = new.timing.due_in == Some(0);
        is_due.then_some(Self { flow: new.flow, state: new.state })
    }
}

/// Somebody who wants to know of commits.
pub(crate) trait Wake: Send + Sync {
    /// Of this; of anything if it is `None`.
    fn wake(&self, news: Option<News>);
}

static SLEEPERS: Mutex<Vec<Weak<dyn Wake>>> = Mutex::new(Vec::new());
/// Spares a transition the lock where no worker runs.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// From now on, until it is dropped, `sleeper` is told of every commit.
pub(crate) fn register(sleeper: &Arc<impl Wake + 'static>) {
    let sleeper: Arc<dyn Wake> = sleeper.clone();
    let mut sleepers = SLEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
    sleepers.retain(|sleeper| sleeper.strong_count() > 0);
    sleepers.push(Arc::downgrade(&sleeper));
    COUNT.store(sleepers.len(), Ordering::Release);
}

/// This was committed.
pub(crate) fn committed(news: impl IntoIterator<Item = News>) {
    if COUNT.load(Ordering::Acquire) > 0 {
        news.into_iter().for_each(|news| tell(Some(news)));
    }
}

/// Anything may be due by now.
pub(crate) fn everything() {
    tell(None);
}

fn tell(news: Option<News>) {
    // outside the lock: it is foreign code
    let sleepers: Vec<_> = SLEEPERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .filter_map(Weak::upgrade)
        .collect();
    for sleeper in sleepers {
        sleeper.wake(news);
    }
}
