//! What a worker says of itself to those who operate it: that it lives, and which graphs it knows.
//!
//! Nothing depends on it. If it cannot be said, the worker goes on.

use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::run::Core;
use super::unwind::{caught, report};
use crate::dialect::connection::Store;
use crate::operator::presence::Presence;

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
            report(|| tracing::debug!(%error, "the worker is not registered"));
        }
    }

    /// Returns whether it could be said.
    fn say(&self, what: impl FnOnce(&mut M::Connection) -> crate::operator::Result<()>) -> bool {
        match caught("registering the worker", || self.with(|conn| Ok(what(conn)))) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => report(|| tracing::debug!(%error, "the worker is not registered")),
            Err(error) => report(|| tracing::debug!(%error, "the worker is not registered")),
        }
        false
    }
}

/// What a worker with this id says.
pub(super) fn presence(
    worker: &str,
    (program, version): (String, String),
    serves: String,
    threads: usize,
    definitions: Vec<&'static flowstate::Definition>,
) -> Presence {
    Presence { worker: worker.to_owned(), program, version, serves, threads, definitions }
}
