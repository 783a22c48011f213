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
use crate::worker::claim::batches;
use crate::worker::claim::parts::{each_part, is_of_a_record};

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
            let (mut reaped, mut refused) = (0, 0);
            each_part(
                &expired,
                is_of_a_record::<M::Connection>,
                &mut |part| {
                    let what = "failing claims over";
                    let part = caught(what, || {
                        self.with(|conn| batches::reap(conn, step, part, &fail_over))
                    })?;
                    reaped += part.reaped;
                    if part.stalled {
                        self.note_outage_at(Instant::now());
                    }
                    Ok(())
                },
                &mut |found, error| {
                    refused += 1;
                    self.pass_over(Work::Reap, step.flow, found.id, &error);
                },
            )?;
            if reaped == 0 && refused == 0 {
                self.pass_over_locked(Work::Reap, &expired);
            }
            if reaped > 0 {
                found = true;
                let reaped_before = u64::try_from(reaped).unwrap_or_default();
                self.counters.reaped.fetch_add(reaped_before, Ordering::Relaxed);
                tracing::warn!(flow = step.flow, step = step.name, reaped, "leases expired");
            }
        }
        Ok(found)
    }

    pub(super) fn take_timed(&self, overdue: &[usize]) -> Result<bool> {
        let mut found = false;
        for timed in overdue.iter().map(|at| &self.timed[*at]) {
            let mut steps = self.runners.iter().map(|runner| &**runner.step());
            let step = steps.find(|step| timed.ends(step));
            let but = self.passed_over(Work::Timed);
            let overdue = self.with(|conn| batches::find_overdue(conn, timed, &but))?;
            let (mut taken, mut refused) = (0, 0);
            each_part(
                &overdue,
                is_of_a_record::<M::Connection>,
                &mut |part| {
                    let what = "taking timed transitions";
                    taken += caught(what, || {
                        self.with(|conn| batches::take_timed(conn, timed, step, part))
                    })?;
                    Ok(())
                },
                &mut |found, error| {
                    refused += 1;
                    self.pass_over(Work::Timed, timed.flow, found.id, &error);
                },
            )?;
            if taken == 0 && refused == 0 {
                self.pass_over_locked(Work::Timed, &overdue);
            }
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
}
