//! What is done about trouble: records that cannot be done are passed over, those that cannot be read
//! are read again, and claims that a worker may have without knowing are given back.

use std::time::Instant;

use diesel::r2d2::ManageConnection;

use super::core::Core;
use super::passed_over::Work;
use super::stats::count;
use super::trouble::RECOVERY;
use super::unwind::{caught, report};
use crate::dialect::Statements as _;
use crate::dialect::connection::Store;
use crate::dialect::fault::Fault;
use crate::dialect::sql::shared::{FindFlow, LeasedBy};
use crate::dialect::sql::statement::Bind;
use crate::error::{Error, RecordRef, Result};
use crate::text::chain::chain;
use crate::transaction::explain::Explain as _;
use crate::transaction::parts::is_of_a_record;
use crate::transaction::read::read;
use crate::worker::claim::batches::{self, Found};
use crate::worker::claim::events;
use crate::worker::claim::release::{Back, back_plan};
use crate::worker::claim::settle::{Fence, try_end};

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// A poll failed, which may have been claiming.
    pub(super) fn poll_failed(&self, error: &Error) {
        self.note_outage(error);
        if !matches!(error, Error::NoConnection { .. }) {
            self.shared().trouble.stray = true;
        }
    }

    /// Passes over a record to which something could not be done.
    pub(super) fn pass_over(&self, work: Work, flow: &'static str, id: i64, error: &Error) {
        let is_new = self.shared().passed_over.add(work, id, Instant::now());
        if is_new {
            report(|| events::passed_over(flow, id, work.name(), error));
        }
    }

    /// Reads those again whose pause is over. One that can be read now, or that somebody has moved, is
    /// claimed as any other.
    pub(super) fn read_again(&self) -> Result<()> {
        let over = self.shared().left_alone.again(Instant::now());
        let mut visit = self.visit();
        for (id, step, seq) in over {
            let runner = &self.runners[step];
            let flow = runner.step().flow;
            let read = caught("reading a record again", || {
                visit.call(|conn| {
                    let binds = [Bind::Int(id), Bind::Text(flow)];
                    let record = RecordRef { flow, id: Some(id) };
                    let rows = read(conn, record, |conn| conn.flows::<FindFlow>(&binds))?;
                    let row = rows.into_iter().find(|row| row.seq == seq);
                    row.map_or(Ok(()), |row| runner.read(row, conn))
                })
            });
            match read {
                Err(error) if error.is_unreadable() => {}
                // a try that panics is counted
                Ok(()) | Err(Error::Panicked { .. }) => self.shared().left_alone.forget(id),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Passes over records of which none could be locked, if there are as many as are found at once:
    /// others may lie behind them.
    pub(super) fn pass_over_locked(&self, work: Work, found: &[Found]) {
        if found.len() >= batches::BATCH {
            let (mut shared, now) = (self.shared(), Instant::now());
            for found in found {
                shared.passed_over.add(work, found.id, now);
            }
        }
    }

    /// The ids of the records that are passed over, as a JSON array. Nothing is claimed that this
    /// program cannot read.
    pub(super) fn passed_over(&self, work: Work) -> String {
        let shared = self.shared();
        let unread = shared.left_alone.ids().filter(|_| work == Work::Claim);
        let ids = shared.passed_over.ids(work, Instant::now()).chain(unread);
        ids.collect::<serde_json::Value>().to_string()
    }

    pub(super) fn note_outage(&self, error: &Error) {
        let is_outage = match error {
            Error::NoConnection { .. } | Error::OutcomeUnknown(_) => true,
            // what it refuses it has answered
            Error::Database { source, .. } => M::Connection::classify(source) != Fault::Refused,
            _ => false,
        };
        if is_outage {
            self.note_outage_at(Instant::now());
        }
    }

    /// The database took long to answer what was asked at `asked`: others may not have been able to
    /// extend their leases meanwhile.
    pub(super) fn note_stall(&self, asked: Instant) {
        let shortest = self.runners.iter().map(|runner| runner.step().lease()).min();
        if shortest.is_some_and(|lease| asked.elapsed() >= lease / 3) {
            self.note_outage_at(Instant::now());
        }
    }

    pub(super) fn note_outage_at(&self, now: Instant) {
        self.shared().trouble.outage = Some(now);
    }

    /// Whether an expired lease means that its holder is dead.
    pub(super) fn may_reap(&self) -> bool {
        self.shared().trouble.outage.is_none_or(|outage| outage.elapsed() > RECOVERY)
    }

    /// Whether this worker works on it, though its heartbeat may be late.
    pub(super) fn holds(&self, id: i64, seq: i64) -> bool {
        self.shared().held.get(&id).is_some_and(|held| held.fence.seq == seq)
    }

    /// Gives back what this worker has claimed without knowing. No other look may be under way, since
    /// what it has just claimed is not held yet. Returns whether there was anything.
    pub(super) fn release_strays(&self) -> Result<bool> {
        if !std::mem::take(&mut self.shared().trouble.stray) {
            return Ok(false);
        }
        let released = self.release_unheld();
        if released.is_err() {
            self.shared().trouble.stray = true;
        }
        released
    }

    fn release_unheld(&self) -> Result<bool> {
        let (mut found, mut left) = (false, false);
        for runner in &self.runners {
            let step = runner.step();
            for state in &step.running_names {
                let binds = [Bind::Text(step.flow), Bind::Text(state), Bind::Text(&self.worker)];
                let rows = self.with(|conn| conn.flows::<LeasedBy>(&binds).explain(conn))?;
                for fence in rows.iter().map(|row| Fence::of(row, &self.worker)) {
                    if self.holds(fence.id, fence.seq) || self.is_passed_over(fence.id) {
                        continue;
                    }
                    let why = "released: the answer to the claim was lost";
                    let released = self.with(|conn| {
                        let plan = back_plan(conn, step, &fence, Back::Released(why))?;
                        try_end(conn, step, &fence, &plan)
                    });
                    match released {
                        Ok(true) => {
                            found = true;
                            count(&self.counters.released);
                            report(|| events::released(step, &fence));
                        }
                        // somebody has locked it
                        Ok(false) => left = true,
                        Err(Error::LeaseLost { .. }) => {}
                        Err(error) if is_of_a_record::<M::Connection>(&error) => {
                            self.pass_over(Work::Release, step.flow, fence.id, &error);
                            left = true;
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        if left {
            self.shared().trouble.stray = true;
        }
        Ok(found)
    }

    fn is_passed_over(&self, id: i64) -> bool {
        self.shared().passed_over.ids(Work::Release, Instant::now()).any(|passed| passed == id)
    }

    /// Gives back what is left when a thread ends after the worker has given up.
    pub(super) fn part(&self) {
        let given_back = caught("giving claims back", || {
            self.give_back_held()?;
            self.release_strays()
        });
        if let Err(error) = given_back {
            let text = "claims could not be given back; their leases will run out";
            report(|| tracing::warn!(error = chain(&error), "{text}"));
        }
    }
}
