//! Before a handler begins: whether its claim is still held.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::core::{Core, Held, Job};
use super::schedule::FIRST_PAUSE;
use super::unwind::report;
use crate::dialect::connection::Store;
use crate::error::Result;
use crate::text::chain::chain;
use crate::worker::claim::settle::held_by;

/// A claim that was made or checked so lately needs no further check: a handler takes longer than
/// this to do anything that could be undone.
const FRESH: Duration = Duration::from_millis(20);

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Whether the claim of a job is still held, as far as it can be known before its handler begins:
    /// by the clock if it is fresh, else by its row. Waits for a database that does not answer.
    pub(super) fn is_still_held(&self, job: &Job) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            if job.signals.lost.load(Ordering::Acquire) {
                return false;
            }
            let Some(held) = self.shared().held.get(&job.claim.row.id).cloned() else {
                return false;
            };
            let now = Instant::now();
            if held.until > now && held.checked + FRESH > now {
                return true;
            }
            if let Err(error) = self.check(held) {
                let error = chain(&error);
                report(|| tracing::warn!(error, "a claim that has waited could not be looked at"));
                if !self.outlast(&mut pause) {
                    return false;
                }
            }
        }
    }

    /// Looks at the row of a claim, and at those of all that wait behind it.
    fn check(&self, first: Held) -> Result<()> {
        let now = Instant::now();
        if first.until <= now {
            // the lease is over by the clock: only who has extended it may begin
            return self.extend_these(&[first]);
        }
        let waiting: Vec<_> = {
            let shared = self.shared();
            let waiting = shared.ready.iter().map(|job| job.claim.row.id);
            let held = waiting.filter_map(|id| shared.held.get(&id).cloned());
            std::iter::once(first).chain(held.take(MOST_CHECKED)).collect()
        };
        let still =
            self.with(|conn| held_by(conn, &self.worker, waiting.iter().map(|held| &held.fence)))?;
        let (mut shared, now) = (self.shared(), Instant::now());
        for held in waiting {
            if !still.contains(&(held.fence.id, held.fence.seq)) {
                held.signals.lost.store(true, Ordering::Release);
            } else if let Some(known) = shared.held.get_mut(&held.fence.id)
                && known.fence.seq == held.fence.seq
            {
                known.checked = now;
            }
        }
        Ok(())
    }
}

/// So many that wait are looked at with the first.
const MOST_CHECKED: usize = 1000;
