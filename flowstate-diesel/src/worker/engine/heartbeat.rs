//! The keeper: one thread that extends the claims of a worker while its handlers run.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::passed_over::Work;
use super::presence::Sayings;
use super::run::{Core, Held};
use super::schedule::Search;
use super::unknown::REPORT_EVERY;
use super::unwind::{caught, report};
use crate::dialect::connection::Store;
use crate::dialect::sql::shared::HeldBy;
use crate::dialect::sql::statement::Bind;
use crate::dialect::{Statements as _, Writes as _};
use crate::text::chain::chain;
use crate::transaction::explain::explain;
use crate::worker::claim::parts::{each_part, is_of_a_record};
use crate::worker::claim::settle::lease;

/// The pause after a round that failed.
const AFTER_A_FAILURE: Duration = Duration::from_millis(500);

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Extends the leases whenever a third of the shortest has passed, and looks after what others
    /// left when all threads are busy. Ends with the worker.
    pub(crate) fn keep(&self) {
        let shortest = self.runners.iter().map(|runner| runner.step().lease()).min();
        let pause = shortest.map_or(Duration::from_secs(1), |lease| lease / 3);
        let pause = pause.min(Duration::from_secs(20));
        let (mut next, mut next_report) = (pause, Instant::now());
        let mut sayings = Sayings::new();
        self.say_alive(&mut sayings);
        while self.pause_keeper(next) {
            next = pause;
            if let Err(error) = caught("extending the leases", || self.extend()) {
                // as soon as the database is back: who is back already may think this worker dead
                next = pause.min(AFTER_A_FAILURE);
                self.note_outage(&error);
                report(|| tracing::warn!(error = chain(&error), "leases could not be extended"));
            }
            self.say_alive(&mut sayings);
            if Instant::now() >= next_report {
                next_report = Instant::now() + REPORT_EVERY;
                if let Err(error) = caught("reporting unknown states", || self.report_strangers()) {
                    report(|| {
                        tracing::debug!(
                            error = chain(&error),
                            "unknown states could not be looked for"
                        );
                    });
                }
            }
            if self.is_overdue_for_a_look() {
                // no thread is free to take work, but expired leases and timed transitions wait
                let looked = self.look_caught(&Search::without_claims(), &mut Vec::new());
                self.looked(Instant::now());
                if let Err(error) = looked {
                    report(|| {
                        tracing::warn!(
                            error = chain(&error),
                            "the database could not be looked at"
                        );
                    });
                }
            }
        }
        self.say_ended(&sayings);
        self.shared().keeper_ended = true;
        self.changed.notify_all();
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
            let extended = conn.extend_leases(&self.worker, &text);
            let extended = extended.map_err(|error| explain(conn, None, error))?;
            if extended == leases.len() {
                return Ok(None);
            }
            // one that somebody has locked is passed over, and still held
            let ids = leases.iter().map(|held| held.fence.id);
            let ids = ids.collect::<serde_json::Value>().to_string();
            let held = conn.counts::<HeldBy>(&[Bind::Text(&self.worker), Bind::Text(&ids)]);
            held.map(Some).map_err(|error| explain(conn, None, error))
        })?;
        self.note_stall(asked);
        let Some(held) = held else {
            self.extended(leases, asked);
            return Ok(());
        };
        let is_held = |claim: &Held| {
            let id = claim.fence.id.to_string();
            held.iter().any(|row| row.label == id && row.number == claim.fence.seq)
        };
        for lost in leases.iter().filter(|claim| !is_held(claim)) {
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
