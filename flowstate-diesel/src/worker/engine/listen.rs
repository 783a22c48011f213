//! Hears what other processes commit, on a connection of its own.
//!
//! Nothing depends on it: what is not heard is found by the poll.

use std::time::{Duration, Instant};

use diesel::r2d2::ManageConnection;

use super::core::{Core, Phase};
use super::unwind::{caught, report};
use crate::dialect::Notices as _;
use crate::dialect::connection::Store;
use crate::error::{Error, Result};
use crate::text::chain::chain;
use crate::transaction::explain::Explain as _;
use crate::transaction::notify::Listener as _;
use crate::worker::announcement::{self, Announced};

/// How often it is looked whether something was heard: it costs microseconds, and no statement but on
/// SQLite.
const EVERY: Duration = Duration::from_millis(4);
/// As often at the least, though no handler is free: a server keeps for us what we do not take.
const AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// How often it is checked that what is announced arrives here.
const ECHO_EVERY: Duration = Duration::from_secs(10);
/// The first pause before the next connection, after one that failed; each further one is twice as
/// long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Opens the connection on which is listened.
pub(crate) type Connect<C> =
    Box<dyn Fn() -> std::result::Result<C, Box<dyn std::error::Error + Send + Sync>> + Send>;

const DEAF: &str = "what is announced does not arrive on this connection, \
    as behind a pooler in transaction mode";

/// Why no more is listened on a connection that has not failed.
enum Ended {
    /// The worker begins to stop.
    Stopped,
    /// What was announced has not arrived.
    Deaf,
}

/// What is known of one connection.
struct Ear {
    version: i64,
    /// When it was last looked whether something was heard.
    heard: Instant,
    /// When the last echo was sent, and whether it has arrived, or could not be sent.
    echo: Option<(Instant, bool)>,
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    /// The thread: listens, on one connection after the other. Ends when the worker begins to stop.
    pub(super) fn listen(&self, connect: &Connect<M::Connection>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let mut listened = false;
            let ended = caught("listening", || self.listen_on_one(connect, &mut listened));
            let error = match ended {
                Ok(Ended::Stopped) => break,
                Ok(Ended::Deaf) => DEAF.to_owned(),
                Err(error) => chain(&error),
            };
            if listened {
                pause = FIRST_PAUSE;
            }
            if pause == FIRST_PAUSE {
                report(|| {
                    tracing::warn!(
                        error,
                        "what other processes commit is not heard, and found by polls"
                    );
                });
            }
            if !self.goes_on_after(pause) {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Until the worker begins to stop. `listened`: something has come through.
    fn listen_on_one(
        &self,
        connect: &Connect<M::Connection>,
        listened: &mut bool,
    ) -> Result<Ended> {
        let conn = &mut connect().map_err(|source| Error::NoConnection { source })?;
        conn.listen().explain(conn)?;
        let mut ear = Ear { version: 0, heard: Instant::now(), echo: None };
        // what was committed before
        self.notify(None);
        while self.goes_on_after(EVERY) {
            let is_free = self.shared().room(self.threads).free > 0;
            if !is_free && ear.heard.elapsed() < AT_LEAST_EVERY {
                continue;
            }
            ear.heard = Instant::now();
            let heard = conn.hear(&mut ear.version);
            let heard = heard.explain(conn)?;
            *listened |= !heard.is_empty();
            for text in heard {
                match announcement::read(&text) {
                    _ if *text == *self.worker => ear.echo = ear.echo.map(|(sent, _)| (sent, true)),
                    Announced::Anything => self.notify(None),
                    Announced::Due(flow, state) => self.notify_of(flow, state),
                    Announced::Nothing => {}
                }
            }
            if M::Connection::ANNOUNCES && !self.echoes(&mut ear) {
                return Ok(Ended::Deaf);
            }
        }
        Ok(Ended::Stopped)
    }

    /// Announces something on another connection, if one is free, that only this one understands.
    /// `false` if the last such announcement has not arrived.
    fn echoes(&self, ear: &mut Ear) -> bool {
        match ear.echo {
            Some((sent, _)) if sent.elapsed() < ECHO_EVERY => return true,
            Some((_, false)) => return false,
            _ => {}
        }
        let Some(mut conn) = self.pool.try_get() else { return true };
        let sent = Instant::now();
        let text = serde_json::json!([*self.worker]).to_string();
        // one that cannot be sent says nothing of the connection on which is listened
        let is_sent = conn.announce(&text).is_ok();
        ear.echo = Some((sent, !is_sent));
        true
    }

    /// A record of the flow has come to a state in which it is due.
    fn notify_of(&self, flow: &str, state: &str) {
        let mut shared = self.shared();
        shared.schedule.told(self.questions.starting(flow, state));
        let calls = shared.schedule.calls(shared.room(self.threads));
        drop(shared);
        if calls {
            self.demand.notify_one();
        }
    }

    /// Waits so long. `false` as soon as the worker begins to stop.
    fn goes_on_after(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        !self.wait_until(Some(until), |shared| shared.phase >= Phase::Stopping)
    }
}
