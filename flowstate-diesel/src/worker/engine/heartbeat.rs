//! The heartbeat: one thread that extends the claims of a worker while its handlers run.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::core::{Core, Held, Phase, Shared, Stage};
use super::passed_over::Work;
use super::unwind::{caught, report};
use crate::dialect::connection::Store;
use crate::text::chain::chain;
use crate::transaction::parts::{each_part, is_of_a_record};
use crate::worker::claim::settle::{extend_all, held_by, lease};

/// The pause after a round that failed.
const AFTER_A_FAILURE: Duration = Duration::from_millis(500);

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// The thread: extends the leases whenever a third of the shortest has passed, and does nothing
    /// else. Ends with the worker.
    pub(super) fn keep(&self) {
        let pause = self.heartbeat();
        let mut next = pause;
        while self.pause_until(Instant::now() + next) {
            next = pause;
            if let Err(error) = caught("extending the leases", || self.extend()) {
                // as soon as the database is back: who is back already may think this worker dead
                next = pause.min(AFTER_A_FAILURE);
                self.note_outage(&error);
                report(|| tracing::warn!(error = chain(&error), "leases could not be extended"));
            }
            if self.watch.has_given_up() {
                return;
            }
        }
        self.end(Stage::Heartbeat);
    }

    /// The time between two heartbeats.
    pub(super) fn heartbeat(&self) -> Duration {
        let shortest = self.runners.iter().map(|runner| runner.step().lease()).min();
        let pause = shortest.map_or(Duration::from_secs(1), |lease| lease / 3);
        pause.min(Duration::from_secs(20))
    }

    /// Waits until then. `false` when there is nothing more to be extended.
    pub(super) fn pause_until(&self, until: Instant) -> bool {
        let is_over = |shared: &Shared| {
            let stopped = shared.phase == Phase::Stopping && shared.is_done(self.threads);
            stopped || shared.phase == Phase::Abandoned
        };
        !self.wait_until(Some(until), is_over)
    }

    fn extend(&self) -> crate::Result<()> {
        let mut leases = self.unlocked();
        let passed: Vec<_> = self.shared().passed_over.ids(Work::Extend, Instant::now()).collect();
        leases.retain(|held| !passed.contains(&held.fence.id));
        each_part(
            &leases,
            is_of_a_record::<M::Connection>,
            &mut |part| self.extend_these(part),
            &mut |held, error| {
                let flow = self.runners[held.step].step().flow;
                self.pass_over(Work::Extend, flow, held.fence.id, &error);
            },
        )
    }

    /// Extends these claims, and tells the handlers of those that are held no longer.
    pub(super) fn extend_these(&self, leases: &[Held]) -> crate::Result<()> {
        let text = leases.iter().map(|held| lease(&held.fence, self.runners[held.step].step()));
        let text = text.collect::<serde_json::Value>().to_string();
        let asked = Instant::now();
        let held = self.with(|conn| {
            let extended = extend_all(conn, &self.worker, &text)?;
            if extended == leases.len() {
                return Ok(None);
            }
            // one that somebody has locked is passed over, and still held
            held_by(conn, &self.worker, leases.iter().map(|held| &held.fence)).map(Some)
        })?;
        self.note_stall(asked);
        let Some(held) = held else {
            self.extended(leases, asked);
            return Ok(());
        };
        for lost in leases.iter().filter(|claim| !held.contains(&(claim.fence.id, claim.fence.seq)))
        {
            lost.signals.lost.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Remembers that all of these were extended when the database was asked.
    fn extended(&self, leases: &[Held], asked: Instant) {
        let mut shared = self.shared();
        for extended in leases {
            let until = asked + self.runners[extended.step].step().lease();
            if let Some(held) = shared.held.get_mut(&extended.fence.id)
                && held.fence.seq == extended.fence.seq
            {
                held.until = until;
            }
        }
    }
}
