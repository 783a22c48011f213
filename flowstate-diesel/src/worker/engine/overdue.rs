//! What is overdue: leases of dead workers, and timed transitions.

use std::sync::atomic::Ordering;
use std::time::Instant;

use diesel::r2d2::ManageConnection;

use super::core::Core;
use super::passed_over::Work;
use super::unwind::caught;
use super::watermark::Source;
use crate::dialect::connection::Store;
use crate::error::Result;
use crate::operator::Registry;
use crate::transaction::hooks::run_hooks;
use crate::transaction::parts::{each_part, is_of_a_record};
use crate::worker::claim::batches::{self, Found};
use crate::worker::claim::deadlines;

impl<M: ManageConnection<Connection: Store>> Core<M> {
    pub(super) fn reap(&self, leased: &[Source]) -> Result<bool> {
        let mut found = false;
        if !self.may_reap() {
            return Ok(false);
        }
        for &(at, state) in leased {
            let step = self.runners[at].step();
            let but = self.passed_over(Work::Reap);
            let mut expired = self.with(|conn| batches::find_expired(conn, step, state, &but))?;
            expired.retain(|found| !self.holds(found.id, found.seq));
            let fail_over = |row, error: &_, last, conn: &mut _| {
                self.runners[at].fail_over(row, error, last, conn)
            };
            let reaped = self.move_each(Work::Reap, step.flow, &expired, &mut |part| {
                let mut hooks = Vec::new();
                let part = caught("failing claims over", || {
                    self.with(|conn| batches::reap(conn, &mut hooks, step, part, &fail_over))
                });
                // by now the connection is back in the pool, where they may want it
                run_hooks(hooks);
                let part = part?;
                if part.stalled {
                    self.note_outage_at(Instant::now());
                }
                Ok(part.records)
            })?;
            if reaped > 0 {
                found = true;
                let reaped_before = u64::try_from(reaped).unwrap_or_default();
                self.counters.reaped.fetch_add(reaped_before, Ordering::Relaxed);
                tracing::warn!(flow = step.flow, step = step.name, reaped, "leases expired");
            }
        }
        Ok(found)
    }

    /// Gives records their deadlines that came to their state under a program which knew none, or a
    /// later one.
    pub(super) fn give_deadlines(&self) -> Result<()> {
        if self.timed.is_empty() {
            return Ok(());
        }
        // what cannot be read of it does not decide: then all are looked through
        let registry = self.with(|conn| Ok(Registry::load(conn).ok()))?;
        for timed in &self.timed {
            if registry.as_ref().is_some_and(|registry| !deadlines::may_be_late(registry, timed)) {
                continue;
            }
            let given = self.with(|conn| deadlines::give(conn, timed))?;
            if given > 0 {
                let transition = timed.transition.name;
                tracing::info!(
                    flow = timed.flow,
                    transition,
                    given,
                    "records were given a deadline"
                );
            }
        }
        Ok(())
    }

    pub(super) fn take_timed(&self, overdue: &[usize]) -> Result<bool> {
        let mut found = false;
        for timed in overdue.iter().map(|at| &self.timed[*at]) {
            let mut steps = self.runners.iter().map(|runner| &**runner.step());
            let step = steps.find(|step| timed.ends(step));
            let but = self.passed_over(Work::Timed);
            let overdue = self.with(|conn| batches::find_overdue(conn, timed, &but))?;
            let taken = self.move_each(Work::Timed, timed.flow, &overdue, &mut |part| {
                let mut hooks = Vec::new();
                let taken = caught("taking timed transitions", || {
                    self.with(|conn| batches::take_timed(conn, &mut hooks, timed, step, part))
                });
                run_hooks(hooks);
                taken
            })?;
            if taken > 0 {
                found = true;
                let more = u64::try_from(taken).unwrap_or_default();
                self.counters.timed.fetch_add(more, Ordering::Relaxed);
                let transition = timed.transition.name;
                tracing::debug!(flow = timed.flow, transition, taken, "time was over");
            }
        }
        Ok(found)
    }
    /// Moves what was found of a flow, all at once or else as many as can be: `work` says how many it
    /// has moved. Passes over those that cannot be moved, and those that others have locked.
    fn move_each(
        &self,
        what: Work,
        flow: &'static str,
        found: &[Found],
        work: &mut dyn FnMut(&[Found]) -> Result<usize>,
    ) -> Result<usize> {
        let (mut moved, mut refused) = (0, 0);
        each_part(
            found,
            is_of_a_record::<M::Connection>,
            &mut |part| work(part).map(|more| moved += more),
            &mut |found, error| {
                refused += 1;
                self.pass_over(what, flow, found.id, &error);
            },
        )?;
        if moved == 0 && refused == 0 {
            self.pass_over_locked(what, found);
        }
        Ok(moved)
    }
}
