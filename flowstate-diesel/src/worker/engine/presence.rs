//! What a worker says of itself to those who operate it: that it lives, and which graphs it knows.
//!
//! Nothing depends on it. If it cannot be said, the worker goes on.

use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::core::{Core, Stage};
use super::unknown::REPORT_EVERY;
use super::unwind::{caught, report};
use crate::dialect::connection::Store;
use crate::operator;
use crate::text::chain::chain;

/// How often a worker says that it lives.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// When what was said, by one worker.
pub(super) struct Sayings {
    begun: bool,
    next: Instant,
}

impl Sayings {
    pub(super) fn new() -> Self {
        Self { begun: false, next: Instant::now() }
    }
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// The thread: says what there is to say, whenever it is time to. Ends with the worker.
    pub(super) fn tell(&self) {
        // one that ends soon asks for no strangers
        let (mut sayings, mut next_report) = (Sayings::new(), Instant::now() + self.heartbeat());
        #[cfg(feature = "metrics")]
        let mut next_count = next_report;
        loop {
            self.say_alive(&mut sayings);
            if Instant::now() >= next_report {
                next_report = Instant::now() + REPORT_EVERY;
                report(|| self.report_left_alone());
                if let Err(error) = caught("reporting unknown states", || self.report_strangers()) {
                    let error = chain(&error);
                    report(|| tracing::debug!(error, "unknown states could not be looked for"));
                }
                if let Err(error) = caught("ending what is completed", || self.end_completed()) {
                    let error = chain(&error);
                    report(|| tracing::debug!(error, "completed states could not be looked for"));
                }
            }
            if self.watch.has_given_up() {
                return;
            }
            let next = if self.presence.is_some() { sayings.next } else { next_report };
            #[cfg(feature = "metrics")]
            let next = next.min(self.count_in_time(&mut next_count));
            if !self.pause_until(next.min(next_report)) {
                break;
            }
        }
        self.say_ended(&sayings);
        self.end(Stage::Tell);
    }

    /// Says that the worker lives, if it is time to.
    pub(super) fn say_alive(&self, sayings: &mut Sayings) {
        if Instant::now() < sayings.next {
            return;
        }
        let Some(presence) = &self.presence else { return };
        let running = self.shared().held.len();
        let begun = sayings.begun;
        let said = self
            .say(|conn| if begun { presence.note(conn, running) } else { presence.begin(conn) });
        sayings.begun = said || begun;
        sayings.next = Instant::now() + SAID_EVERY;
    }

    /// Says that the worker has ended as it should, if a connection is free: a shutdown does not
    /// wait for that.
    pub(super) fn say_ended(&self, sayings: &Sayings) {
        let Some(presence) = self.presence.as_ref().filter(|_| sayings.begun) else { return };
        let said = caught("registering the worker", || match self.pool.try_get() {
            Some(mut conn) => Ok(presence.end(&mut *conn)),
            None => Ok(Ok(())),
        });
        if let Ok(Err(error)) = said {
            let error = chain(&error);
            report(|| tracing::debug!(error, "the worker is not registered"));
        }
    }

    /// Returns whether it could be said.
    fn say(&self, what: impl FnOnce(&mut M::Connection) -> operator::Result<()>) -> bool {
        let said = caught("registering the worker", || {
            self.with(|conn| match what(conn) {
                // a connection of no use is not given back to the pool
                Err(operator::Error::Failed(error)) => Err(error),
                said => Ok(said),
            })
        });
        let error = match said {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => chain(&error),
            Err(error) => chain(&error),
        };
        report(|| tracing::debug!(error, "the worker is not registered"));
        false
    }
}
