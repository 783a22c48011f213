//! Calls to the database that do not come back: they are told, and another thread goes on, with
//! another connection.
//!
//! A thread that waits in a client library can be neither woken nor ended from outside. Its stage is
//! given to a new thread; when the call comes back after all, its connection is dropped, what it came
//! to counts as unknown, and the thread ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::core::{Core, Stage};
use super::unwind::report;
use crate::dialect::connection::Store;
use crate::error::Result;
use crate::text::chain::chain;

/// A call is given up after the time between two heartbeats, so that another one comes before the end
/// of a lease, but no sooner than this: calls that only wait their turn would be given up.
const SOONEST: Duration = Duration::from_secs(10);

/// The pause between two looks.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// The thread: looks for calls that do not come back, and has `start` begin the thread of a stage
    /// anew. Ends with the worker.
    pub(super) fn watch(self: &Arc<Self>, start: impl Fn(&Arc<Self>, Stage) -> Result<()>) {
        let most = self.heartbeat().max(SOONEST);
        while self.pause_until(Instant::now() + LOOKS_EVERY) {
            for (thread, stage, waited) in self.watch.overdue(most) {
                let (what, waited) = (stage.name(), waited.as_secs());
                report(|| {
                    tracing::warn!(what, waited, "a call to the database does not come back");
                });
                // whoever holds leases may wait for the same database
                self.note_outage_at(Instant::now());
                if stage == Stage::Poll {
                    // it may have claimed
                    self.shared().trouble.stray = true;
                }
                if stage.is_given_on()
                    && let Err(error) = start(self, stage)
                {
                    self.watch.take_back(thread);
                    let error = chain(&error);
                    report(|| tracing::warn!(what, error, "nobody could be given its work"));
                }
            }
        }
        self.end(Stage::Watch);
    }
}
