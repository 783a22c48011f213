//! The calls to the database that are under way, and which of them take too long: plain data.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use super::stage::Stage;

/// The calls to the database that are under way, and the threads that were given up with one.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    calls: Vec<Call>,
    given_up: Vec<ThreadId>,
}

#[derive(Debug)]
struct Call {
    thread: ThreadId,
    stage: Stage,
    since: Instant,
    told: bool,
}

/// A call that is under way, until this is dropped.
pub(super) struct UnderWay<'w>(&'w Watch);

impl UnderWay<'_> {
    /// It has got the connection that it waited for.
    pub(super) fn goes_on(&self) {
        self.0.enter(Instant::now());
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.excuse();
    }
}

impl Watch {
    /// A call of this thread begins.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.enter(Instant::now());
        UnderWay(self)
    }

    fn enter(&self, since: Instant) {
        let Some(stage) = Stage::here() else { return };
        let thread = std::thread::current().id();
        let mut watched = self.lock();
        watched.calls.retain(|call| call.thread != thread);
        watched.calls.push(Call { thread, stage, since, told: false });
    }

    /// The call of this thread is over, or may take as long as it likes.
    pub(super) fn excuse(&self) {
        let thread = std::thread::current().id();
        self.lock().calls.retain(|call| call.thread != thread);
    }

    /// Whether this thread was given up: another one has its stage.
    pub(super) fn has_given_up(&self) -> bool {
        self.is_given_up(std::thread::current().id())
    }

    pub(super) fn is_given_up(&self, thread: ThreadId) -> bool {
        self.lock().given_up.contains(&thread)
    }

    /// The stages of the calls that take longer than `most`, each told once, with how long; those of
    /// which there is one thread are given up.
    pub(super) fn overdue(&self, most: Duration) -> Vec<(ThreadId, Stage, Duration)> {
        let mut watched = self.lock();
        let Watched { calls, given_up } = &mut *watched;
        let mut overdue = Vec::new();
        for call in calls.iter_mut().filter(|call| !call.told) {
            let waited = call.since.elapsed();
            if waited >= most {
                call.told = true;
                overdue.push((call.thread, call.stage, waited));
                if call.stage.is_given_on() {
                    given_up.push(call.thread);
                }
            }
        }
        overdue
    }

    /// Nobody could be given its work: it is tried again.
    pub(super) fn take_back(&self, thread: ThreadId) {
        let mut watched = self.lock();
        watched.given_up.retain(|given_up| *given_up != thread);
        if let Some(call) = watched.calls.iter_mut().find(|call| call.thread == thread) {
            call.told = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A call of this thread that has been under way for two seconds.
    fn late(watch: &Watch, stage: Stage) {
        stage.enter();
        watch.enter(Instant::now().checked_sub(2 * SECOND).expect("since boot"));
    }

    #[test]
    fn a_late_call_is_told_once_and_its_stage_given_on() {
        let watch = Watch::default();
        late(&watch, Stage::Poll);
        assert!(watch.overdue(3 * SECOND).is_empty() && !watch.has_given_up());
        let told = watch.overdue(SECOND);
        assert!(matches!(&*told, [(_, Stage::Poll, waited)] if *waited >= 2 * SECOND), "{told:?}");
        assert!(watch.has_given_up());
        assert!(watch.overdue(SECOND).is_empty(), "told once");
        watch.take_back(told[0].0);
        assert!(!watch.has_given_up());
        assert_eq!(watch.overdue(SECOND).len(), 1, "nobody could be given it");
    }

    #[test]
    fn a_handler_keeps_its_claim() {
        let watch = Watch::default();
        late(&watch, Stage::Handler);
        assert_eq!(watch.overdue(SECOND).len(), 1);
        assert!(!watch.has_given_up());
    }

    #[test]
    fn what_is_over_or_has_got_its_connection_is_not_late() {
        let watch = Watch::default();
        Stage::Settle.enter();
        let call = watch.begin();
        late(&watch, Stage::Settle);
        call.goes_on();
        assert!(watch.overdue(SECOND).is_empty());
        late(&watch, Stage::Settle);
        drop(call);
        assert!(watch.overdue(SECOND).is_empty());
        late(&watch, Stage::Settle);
        watch.excuse();
        assert!(watch.overdue(SECOND).is_empty(), "the user's code runs");
    }
}
