//! What a worker remembers of failures: of a database that was away, and of claims that it may have
//! without knowing.

use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::run::Core;
use super::stats::count;
use super::unwind::report;
use crate::dialect::Statements as _;
use crate::dialect::connection::Store;
use crate::dialect::sql::shared::LeasedBy;
use crate::dialect::sql::statement::Bind;
use crate::error::{Error, Result};
use crate::transaction::explain::explain;
use crate::worker::claim::events;
use crate::worker::claim::release::release;
use crate::worker::claim::settle::Fence;

/// After an outage, so long and nobody is taken for dead: leases have run out that nobody could
/// extend. The others may come back later: a pool waits up to 15 seconds before it connects again.
const RECOVERY: Duration = Duration::from_secs(30);

/// What went wrong lately.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// When the database last failed to answer.
    outage: Option<Instant>,
    /// A claim may have been committed whose answer was lost.
    pub(super) stray: bool,
    /// Everything has been given back at the end.
    pub(super) parted: bool,
    /// Why it could not be, so far.
    pub(super) problem: Option<Error>,
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// A look failed, which may have been claiming.
    pub(super) fn look_failed(&self, error: &Error) {
        self.note_outage(error);
        if !matches!(error, Error::NoConnection { .. }) {
            self.shared().trouble.stray = true;
        }
    }

    pub(super) fn note_outage(&self, error: &Error) {
        let is_outage = matches!(
            error,
            Error::NoConnection { .. } | Error::Database { .. } | Error::OutcomeUnknown(_)
        );
        if is_outage {
            self.shared().trouble.outage = Some(Instant::now());
        }
    }

    /// The database took long to answer what was asked at `asked`: others may not have been able to
    /// extend their leases meanwhile.
    pub(super) fn note_stall(&self, asked: Instant) {
        let shortest = self.runners.iter().map(|runner| runner.step().lease()).min();
        if shortest.is_some_and(|lease| asked.elapsed() >= lease / 3) {
            self.shared().trouble.outage = Some(Instant::now());
        }
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
        let mut found = false;
        for runner in &self.runners {
            let step = runner.step();
            for state in &step.running_names {
                let binds = [Bind::Text(step.flow), Bind::Text(state), Bind::Text(&self.worker)];
                let rows = self.with(|conn| {
                    let rows = conn.flows::<LeasedBy>(&binds);
                    rows.map_err(|error| explain(conn, None, error))
                })?;
                for fence in rows.iter().map(|row| Fence::of(row, &self.worker)) {
                    if self.holds(fence.id, fence.seq) {
                        continue;
                    }
                    let why = "released: the answer to the claim was lost";
                    match self.with(|conn| release(conn, step, &fence, why)) {
                        Ok(()) => {
                            found = true;
                            count(&self.counters.released);
                            report(|| events::released(step, &fence));
                        }
                        Err(Error::LeaseLost { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(found)
    }
}
