//! How a worker stops: nothing that it held waits out a lease.

use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::run::{Core, Phase};
use super::release::release;
use super::stats::count;
use crate::error::{Error, Result};
use crate::store::Store;

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// Stops claiming, gives back what is not begun, waits for the rest, and gives that back too.
    pub(crate) fn stop(&self, grace: Duration) -> Result<()> {
        let deadline = Instant::now().checked_add(grace);
        let mut shared = self.shared();
        shared.phase = Phase::Stopping;
        let unbegun: Vec<_> = shared.ready.drain(..).collect();
        let running = shared.held.len().saturating_sub(unbegun.len());
        self.changed.notify_all();
        drop(shared);
        tracing::info!(running, unbegun = unbegun.len(), ?grace, "the worker is stopping");
        let mut released = Ok(());
        for job in unbegun {
            released = released.and(self.give_back(job.claim.row.id));
        }
        let mut shared = self.shared();
        while shared.ended < self.threads {
            let left = deadline.map_or(Duration::from_hours(1), |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                break;
            }
            shared = self.wait(shared, left);
        }
        shared.phase = Phase::Abandoned;
        // a look that was under way may have claimed more
        shared.ready.clear();
        drop(shared);
        self.changed.notify_all();
        released.and(self.give_back_held())
    }

    /// Gives back what is held, as far as a row's lock does not hold it: a transactional handler
    /// ends its claim itself. Threads that end after the grace do so too, for what a look under way
    /// has claimed since and for what could not be given back before.
    ///
    /// Ends with the first failure, so as not to wait for an answer once for each claim.
    pub(super) fn give_back_held(&self) -> Result<()> {
        self.unlocked().into_iter().try_for_each(|held| self.give_back(held.fence.id))
    }

    fn give_back(&self, id: i64) -> Result<()> {
        let Some(held) = self.shared().held.remove(&id) else { return Ok(()) };
        let step = self.runners[held.step].step();
        let released = self.with(|conn| release(conn, step, held.fence, "released: the worker stopped"));
        match released {
            Ok(()) => {
                count(&self.counters.released);
                Ok(())
            }
            // it was settled meanwhile
            Err(Error::LeaseLost { .. }) => Ok(()),
            Err(error) => {
                self.shared().held.insert(id, held);
                Err(error)
            }
        }
    }
}
