//! Which thread does what next, and who is woken for it.
//!
//! One thread at a time looks for work, and only where nobody is free does it stay unseen. A thread
//! is woken only for something to do: with two processors and eight threads, waking all of them at
//! each commit costs more than the commits.

use std::time::Instant;

use diesel::r2d2::ManageConnection;

use super::caught::report;
use super::horizon::Source;
use super::run::{Core, FIRST_PAUSE, Held, Job, LONGEST_OUTAGE_PAUSE, Phase};
use super::settle::Fence;
use crate::error::Result;
use crate::store::Store;
use crate::wake::{News, Wake};

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
    /// Steps, and states from which they start, where something is known to be due: it is claimed
    /// without asking. `None` to ask for everything.
    pub(super) hints: Option<Vec<Source>>,
}

impl Search {
    /// For what needs no thread: expired leases and timed transitions.
    pub(super) fn without_claims() -> Self {
        Self { free: 0, early: false, hints: None }
    }
}

/// What a look has found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Something was done, or is to be done now.
    pub(super) any: bool,
    /// There may be more than could be taken.
    pub(super) more: bool,
}

/// Why to look before the next poll.
#[derive(Debug)]
pub(super) struct Demand {
    /// There may be work that no look has seen.
    woken: bool,
    /// Where a record has become due since the last look began.
    hints: Vec<Source>,
    /// The last look left some behind, which no thread was free for.
    more: bool,
    /// Somebody waits until there is no more work.
    awaited: bool,
}

impl Default for Demand {
    /// Of a worker that has just begun.
    fn default() -> Self {
        Self { woken: true, hints: Vec::new(), more: false, awaited: false }
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
            let due = shared.demand.woken || now >= shared.next_look;
            let wanted = !shared.looking && (due || !shared.demand.hints.is_empty());
            // a batch is claimed while the other threads still have work of the one before
            let early = self.batches && shared.demand.woken && shared.ready.len() < self.threads;
            if wanted && (shared.ready.is_empty() || early) {
                let hints = std::mem::take(&mut shared.demand.hints);
                shared.looking = true;
                shared.demand.woken &= !due;
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
        let problem = looked.as_ref().err().map(ToString::to_string);
        let mut shared = self.shared();
        shared.looking = false;
        let now = Instant::now();
        if search.hints.is_none() {
            shared.last_look = now;
        }
        match looked {
            Ok(Found { any: true, more }) => {
                // if no more is to be taken now, then as soon as a thread is free
                shared.demand.woken |= more;
                // one that knew where to look says nothing of the rest
                shared.demand.more = more || (shared.demand.more && search.hints.is_some());
                (shared.pause, shared.next_look) = (FIRST_PAUSE, now + FIRST_PAUSE);
                shared.idle = None;
            }
            Ok(Found { more, .. }) if search.hints.is_some() => shared.demand.more |= more,
            looked => {
                shared.demand.more = matches!(looked, Ok(Found { more: true, .. }));
                shared.next_look = now + shared.pause;
                let longest = if looked.is_ok() { self.poll } else { LONGEST_OUTAGE_PAUSE };
                shared.pause = (shared.pause * 2).min(longest);
                if shared.busy == 0 && !shared.demand.woken && shared.demand.hints.is_empty() {
                    shared.idle = Some(looked.map(drop));
                }
            }
        }
        // this thread takes the first job, or looks again
        let others = jobs.len().saturating_sub(1);
        let again = usize::from(shared.demand.woken || !shared.demand.hints.is_empty());
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
    pub(super) fn put_away(&self, fence: Fence, settled: bool) {
        let mut shared = self.shared();
        shared.busy -= 1;
        // one that could not be settled before the worker gave up can still be given back
        let kept = !settled && shared.phase == Phase::Abandoned;
        let is_it = |held: &Held| held.fence.seq == fence.seq;
        if !kept && shared.held.get(&fence.id).is_some_and(is_it) {
            shared.held.remove(&fence.id);
        }
        // this thread looks, if it is worth it
        shared.demand.woken |= shared.demand.more || (shared.demand.awaited && shared.busy == 0);
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

impl<M: ManageConnection<Connection: Store>> Wake for Core<M> {
    fn wake(&self, news: Option<News>) {
        let mut shared = self.shared();
        match news {
            None => shared.demand.woken = true,
            Some(news) => {
                let hints = self.questions.served(news);
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
