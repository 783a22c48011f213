//! How a worker stops: in time, and nothing that it held waits out a lease.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::core::{Core, Held, Phase};
use super::schedule::FIRST_PAUSE;
use super::stats::count;
use super::unwind::{caught, report};
use crate::dialect::connection::Store;
use crate::dialect::fault::{Failure, Fault};
use crate::error::{ConflictReason, Error, RecordRef, Result};
use crate::transaction::explain::conflict;
use crate::transaction::parts::is_of_a_record;
use crate::transaction::scope::Doom;
use crate::worker::claim::events;
use crate::worker::claim::release::{Back, back_plan};
use crate::worker::claim::settle::try_end;

/// The last tenth of a grace is kept for giving back, but no more than this. A shorter grace lasts
/// as long as this where the database does not answer.
const PARTING: Duration = Duration::from_secs(1);
/// The longest pause between two tries to give something back.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Stops claiming, gives back what is not begun, waits for the rest, and gives that back too.
    ///
    /// A thread of its own gives back: the database may not answer, or somebody may have locked a
    /// row, when the time is over.
    pub(crate) fn stop(self: &Arc<Self>, grace: Duration) -> Result<()> {
        let begun = Instant::now();
        let mut shared = self.shared();
        shared.phase = Phase::Stopping;
        self.stopping.store(true, Ordering::Release);
        let unbegun = shared.ready.len();
        let running = shared.held.len().saturating_sub(unbegun);
        drop(shared);
        self.call_all();
        report(|| tracing::info!(running, unbegun, ?grace, "the worker is stopping"));
        let core = Arc::clone(self);
        let thread = std::thread::Builder::new().name("flowstate-release".to_owned());
        let thread = thread.spawn(move || core.give_back_all());

        let handlers = grace.saturating_sub((grace / 10).min(PARTING));
        self.wait_until(begun.checked_add(handlers), |shared| shared.is_done(self.threads));
        self.shared().phase = Phase::Abandoned;
        self.call_all();
        if thread.is_err() {
            // no thread could be had: what follows is done, but not in time
            self.give_back_all();
        }
        let until = begun.checked_add(grace.max(PARTING));
        self.wait_until(until, |shared| shared.trouble.parted && shared.is_quiet());
        self.parted(begun)
    }

    /// Has every thread see how far the worker is with stopping.
    fn call_all(&self) {
        for stage in [&self.work, &self.demand, &self.ends, &self.changed] {
            stage.notify_all();
        }
    }

    /// The error that a shutdown returns when its time is over.
    fn parted(&self, begun: Instant) -> Result<()> {
        let mut shared = self.shared();
        if shared.trouble.parted {
            return Ok(());
        }
        let problem = shared.trouble.problem.take();
        let left = shared.held.values().find(|held| !held.locked).cloned();
        drop(shared);
        match (problem, left) {
            (Some(problem), _) => Err(problem),
            (None, Some(held)) => {
                let flow = self.runners[held.step].step().flow;
                let doom = Doom {
                    record: Some(RecordRef { flow, id: Some(held.fence.id) }),
                    reason: ConflictReason::LockTimeout,
                    source: Failure::Noticed(
                        Fault::conflict_with(ConflictReason::LockTimeout),
                        "the claim could not be given back in time",
                    )
                    .into_source(),
                };
                Err(conflict(doom, false, 1, begun.elapsed()))
            }
            (None, None) => Ok(()),
        }
    }

    /// Gives back what waits for a thread, also what a look under way brings; when the handlers'
    /// time is over, whatever is held. Ends when nothing is left, or when the leases have run out.
    fn give_back_all(&self) {
        let longest = self.runners.iter().map(|runner| runner.step().lease()).max();
        let longest = longest.unwrap_or_default();
        let (mut unbegun, mut pause, mut abandoned_at) = (HashSet::new(), FIRST_PAUSE, None);
        loop {
            let mut shared = self.shared();
            unbegun.extend(shared.ready.drain(..).map(|job| job.claim.row.id));
            let abandoned = shared.phase == Phase::Abandoned;
            let held = shared.held.values().filter(|held| !held.locked);
            let held = held.filter(|held| abandoned || unbegun.contains(&held.fence.id));
            let held: Vec<_> = held.cloned().collect();
            let strays = shared.trouble.stray && (abandoned || !shared.schedule.polling);
            if held.is_empty() && !strays {
                if abandoned {
                    shared.trouble.parted = true;
                    drop(shared);
                    self.changed.notify_all();
                    return;
                }
                drop(self.wait(shared, Duration::from_hours(1)));
                continue;
            }
            drop(shared);
            let all = self.give_back_each(held) & (!strays || self.give_back_strays());
            if abandoned {
                let since = *abandoned_at.get_or_insert_with(Instant::now);
                if !all && since.elapsed() > longest {
                    return;
                }
            }
            if !all {
                drop(self.wait(self.shared(), pause));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Returns whether all are given back.
    fn give_back_each(&self, held: Vec<Held>) -> bool {
        let (mut all, mut problem) = (true, None);
        for held in held {
            match caught("giving a claim back", || self.give_back(&held)) {
                Ok(true) => {}
                // somebody has locked it: the others first
                Ok(false) => all = false,
                Err(error) => {
                    all = false;
                    let goes_on = is_of_a_record::<M::Connection>(&error);
                    problem = Some(error);
                    if !goes_on {
                        // nobody waits for an answer once for each claim
                        break;
                    }
                }
            }
        }
        self.shared().trouble.problem = problem;
        all
    }

    fn give_back_strays(&self) -> bool {
        let released = caught("giving claims back", || self.release_strays());
        released.map_err(|error| self.shared().trouble.problem = Some(error)).is_ok()
    }

    /// Gives back what is held when a thread ends after the grace, as far as a row's lock does not
    /// hold it: a transactional handler ends its claim itself. That is what a look under way has
    /// claimed since, and what could not be given back before.
    pub(super) fn give_back_held(&self) -> Result<()> {
        self.unlocked().into_iter().try_for_each(|held| self.give_back(&held).map(drop))
    }

    /// `false` if somebody has locked it.
    fn give_back(&self, held: &Held) -> Result<bool> {
        let (step, fence) = (self.runners[held.step].step(), &held.fence);
        let why = "released: the worker stopped";
        // a shorter time than there is at the least: then it is known what was in the way
        let tried = self.with_in(PARTING / 2, |conn| {
            let plan = back_plan(conn, step, fence, Back::Released(why))?;
            try_end(conn, step, fence, &plan)
        });
        match tried {
            Ok(false) => return Ok(false),
            Ok(true) => {
                count(&self.counters.released);
                report(|| events::released(step, fence));
            }
            // it was settled meanwhile
            Err(Error::LeaseLost { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut shared = self.shared();
        if shared.held.get(&fence.id).is_some_and(|held| held.fence.seq == fence.seq) {
            shared.held.remove(&fence.id);
        }
        Ok(true)
    }
}
