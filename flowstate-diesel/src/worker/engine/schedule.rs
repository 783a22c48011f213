//! Which thread does what next, and who is woken for it.
//!
//! One thread at a time looks for work, and only where nobody is free does it stay unseen. A thread
//! is woken only for something to do: with two processors and eight threads, waking all of them at
//! each commit costs more than the commits.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::run::{Core, FIRST_PAUSE, Held, Job, LONGEST_OUTAGE_PAUSE, Phase, Shared};
use super::unwind::report;
use super::watermark::Source;
use crate::dialect::connection::Store;
use crate::error::Result;
use crate::text::chain::chain;
use crate::transaction::notify::{Listener, Notification};
use crate::worker::claim::settle::Fence;

/// Where the last look left some behind, more are claimed without asking again, for so long: only
/// asking tells what else there is.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// What a thread is to do.
pub(super) enum Next {
    Run(Box<Job>),
    Look(Search),
}

/// What to look for.
#[derive(Debug)]
pub(super) struct Search {
    /// How many threads have nothing to do.
    pub(super) free: usize,
    /// Batches may be claimed though no thread is free.
    pub(super) early: bool,
    /// Where something is known to be due: it is claimed without asking. `None` to ask for
    /// everything.
    pub(super) hints: Option<Hints>,
}

/// Steps, and states from which they start, where something is known to be due.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// A transaction of this process has told.
    pub(super) told: Vec<Source>,
    /// The last look left some behind.
    pub(super) left: Vec<Source>,
}

impl Search {
    /// For what needs no thread: expired leases and timed transitions.
    pub(super) fn without_claims() -> Self {
        Self { free: 0, early: false, hints: None }
    }

    pub(super) fn is_told(&self, source: Source) -> bool {
        self.hints.as_ref().is_some_and(|hints| hints.told.contains(&source))
    }
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Something was done, or is to be done now.
    pub(super) any: bool,
    /// There may be more to sweep.
    pub(super) swept: bool,
    /// What may be due all the same.
    pub(super) unseen: Unseen,
    /// Where there may be more than could be claimed.
    pub(super) left: Vec<Source>,
}

/// What a look that did nothing may not have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unseen {
    #[default]
    Nothing,
    /// It was not looked all the way back.
    FurtherBack,
    /// Something was due, and nothing of it could be claimed.
    Missed,
}

/// Why to look before the next poll.
#[derive(Debug)]
pub(super) struct Demand {
    /// There may be work that no look has seen.
    woken: bool,
    /// Where a record has become due since the last look began.
    hints: Vec<Source>,
    /// Where the last look left some behind.
    left: Vec<Source>,
    /// They are wanted as soon as there is room.
    again: bool,
    /// Somebody waits until there is no more work.
    awaited: bool,
}

impl Default for Demand {
    /// Of a worker that has just begun.
    fn default() -> Self {
        Self { woken: true, hints: Vec::new(), left: Vec::new(), again: false, awaited: false }
    }
}

/// How early to fetch the next batch: the others must not run out of work meanwhile, nor shall more
/// be held than that takes. `left`: what they had left when the last was there.
fn lead(lead: usize, left: usize, bounds: RangeInclusive<usize>) -> usize {
    let (least, most) = bounds.into_inner();
    match left {
        0 => (lead * 2).min(most),
        _ if left > least => (lead - 1).max(least),
        _ => lead,
    }
}

impl Demand {
    /// Whether to look at once.
    fn is_pressing(&self) -> bool {
        self.woken || self.again || !self.hints.is_empty()
    }

    /// Remembers where a look left some behind. One that knew where to look says nothing of the
    /// rest.
    fn keep(&mut self, search: &Search, left: Vec<Source>) {
        match &search.hints {
            None => self.left = left,
            Some(Hints { told, left: asked }) => {
                let seen = |source: &Source| told.contains(source) || asked.contains(source);
                self.left.retain(|source| !seen(source));
                self.left.extend(left);
            }
        }
    }
}

impl Shared {
    /// Whether something runs, or waits for a thread that has not woken up yet.
    fn works(&self) -> bool {
        self.busy > 0 || !self.ready.is_empty()
    }
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Waits for the next thing to do. `None` when the worker stops.
    pub(super) fn next(&self) -> Option<Next> {
        let mut shared = self.shared();
        loop {
            if shared.phase >= Phase::Stopping {
                return None;
            }
            let now = Instant::now();
            let demand = &shared.demand;
            let stale = now.duration_since(shared.last_look) >= ASK_EVERY;
            let due = demand.woken || now >= shared.next_look || (demand.again && stale);
            let hinted = demand.again || !demand.hints.is_empty();
            let wanted = !shared.looking && (due || hinted);
            // a batch is claimed while the other threads still have work of the one before
            let low = self.batch.is_some() && shared.ready.len() < shared.lead;
            let early = low && (demand.woken || demand.again);
            if wanted && (shared.ready.is_empty() || early) {
                let demand = &mut shared.demand;
                let told = std::mem::take(&mut demand.hints);
                let left = if demand.again { demand.left.clone() } else { Vec::new() };
                let hints = Hints { told, left };
                (demand.woken, demand.again) = (demand.woken && !due, false);
                shared.looking = true;
                let free = self.threads.saturating_sub(shared.busy + shared.ready.len());
                let early = !shared.ready.is_empty();
                return Some(Next::Look(Search { free, early, hints: (!due).then_some(hints) }));
            }
            if let Some(job) = shared.ready.pop_front() {
                shared.busy += 1;
                return Some(Next::Run(Box::new(job)));
            }
            let pause = shared.next_look.saturating_duration_since(now);
            let pause = if shared.looking { self.poll } else { pause };
            shared.waiting += 1;
            shared = self.wait_for_work(shared, pause);
            shared.waiting -= 1;
        }
    }

    pub(super) fn look_and_tell(&self, search: &Search) {
        let mut jobs = Vec::new();
        let looked = self.look_caught(search, &mut jobs);
        let problem = looked.as_ref().err().map(|error| chain(error));
        let mut shared = self.shared();
        shared.looking = false;
        let now = Instant::now();
        if search.hints.is_none() {
            shared.last_look = now;
        }
        if search.early {
            let most = self.batch.unwrap_or_default().max(self.threads);
            shared.lead = lead(shared.lead, shared.ready.len(), self.threads..=most);
        }
        match looked {
            Ok(Found { any: true, swept, left, .. }) => {
                shared.demand.woken |= swept;
                shared.demand.keep(search, left);
                // if no more is to be taken now, then as soon as a thread is free
                shared.demand.again = !shared.demand.left.is_empty();
                (shared.pause, shared.next_look) = (FIRST_PAUSE, now + FIRST_PAUSE);
                shared.idle = None;
            }
            Ok(Found { left, .. }) if search.hints.is_some() => shared.demand.keep(search, left),
            Ok(Found { unseen: Unseen::FurtherBack, .. }) => {
                // what lies further back is asked for before anybody is told that there is nothing
                shared.demand.left = Vec::new();
                shared.demand.woken = true;
            }
            looked => {
                let missed = looked.as_ref().is_ok_and(|found| found.unseen == Unseen::Missed);
                let looked = looked.map(|found| shared.demand.left = found.left);
                shared.next_look = now + shared.pause;
                let longest = if looked.is_ok() { self.poll } else { LONGEST_OUTAGE_PAUSE };
                shared.pause = (shared.pause * 2).min(longest);
                if !shared.works() && !shared.demand.is_pressing() && !missed {
                    shared.idle = Some(looked);
                }
            }
        }
        // this thread takes the first job, or looks again
        let others = jobs.len().saturating_sub(1);
        let again = usize::from(shared.demand.is_pressing());
        let called = (others + again).min(shared.waiting);
        shared.ready.extend(jobs);
        let told = shared.idle.is_some() || shared.phase >= Phase::Stopping;
        drop(shared);
        (0..called).for_each(|_| self.work.notify_one());
        if told {
            self.changed.notify_all();
        }
        if let Some(error) = problem {
            report(|| tracing::warn!(error, "the database could not be looked at"));
        }
    }

    /// A thread is free again, and its claim settled or not.
    pub(super) fn put_away(&self, fence: &Fence, settled: bool) {
        let mut shared = self.shared();
        shared.busy -= 1;
        // one that could not be settled before the worker gave up can still be given back
        let kept = !settled && shared.phase == Phase::Abandoned;
        let is_it = |held: &Held| held.fence.seq == fence.seq;
        if !kept && shared.held.get(&fence.id).is_some_and(is_it) {
            shared.held.remove(&fence.id);
        }
        // this thread looks, if it is worth it
        shared.demand.again |= !shared.demand.left.is_empty();
        shared.demand.woken |= shared.demand.awaited && !shared.works();
        let stopping = shared.phase >= Phase::Stopping;
        drop(shared);
        if stopping {
            self.changed.notify_all();
        }
    }

    /// Waits until a look has found nothing and no handler runs.
    pub(crate) fn wait_until_idle(&self) -> Result<()> {
        let mut shared = self.shared();
        shared.demand.awaited = true;
        loop {
            if let Some(idle) = shared.idle.take() {
                return idle;
            }
            shared = self.wait(shared, self.poll);
        }
    }
}

impl<M: ManageConnection<Connection: Store>> Listener for Core<M> {
    fn notify(&self, notification: Option<Notification>) {
        let mut shared = self.shared();
        match notification {
            None => shared.demand.woken = true,
            Some(notification) => {
                let hints = self.questions.served(notification);
                let before = shared.demand.hints.len();
                for hint in hints {
                    if !shared.demand.hints.contains(hint) {
                        shared.demand.hints.push(*hint);
                    }
                }
                if shared.demand.hints.len() == before {
                    return;
                }
            }
        }
        let called = shared.waiting > 0;
        drop(shared);
        if called {
            self.work.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lead;

    #[test]
    fn a_batch_is_fetched_as_early_as_needed() {
        let bounds = || 8..=32;
        assert_eq!(lead(8, 0, bounds()), 16, "they ran dry");
        assert_eq!(lead(24, 0, bounds()), 32, "a batch at the most");
        assert_eq!(lead(16, 3, bounds()), 16, "just right");
        assert_eq!(lead(16, 9, bounds()), 15, "too early");
        assert_eq!(lead(8, 9, bounds()), 8, "one for each thread at the least");
    }
}
