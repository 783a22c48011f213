//! Announces to other processes what this one has committed.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::r2d2::{ManageConnection, Pool};

use super::announcement::write;
use super::engine::unwind::{caught, report};
use crate::dialect::Notices as _;
use crate::dialect::connection::Store;
use crate::error::{Error, Result};
use crate::text::chain::chain;
use crate::transaction::explain::Explain as _;
use crate::transaction::notify;
use crate::transaction::notify::{Listener, Notification};

/// What is committed meanwhile is announced together.
const EVERY: Duration = Duration::from_millis(2);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a connection of the pool is waited for, and the last announcement.
const PATIENCE: Duration = Duration::from_secs(2);

/// Announces to the workers of other processes what this one commits, where somebody has to:
/// on PostgreSQL, by NOTIFY. Those that [listen](super::Worker::listen) claim it at once, and not
/// only at their next poll.
///
/// ```no_run
/// # use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
/// # use flowstate_diesel::{Announcer, Worker, prelude::*};
/// # fn web(pool: Pool<ConnectionManager<SqliteConnection>>) -> flowstate_diesel::Result<()> {
/// // in a program that creates records and moves them
/// let _announcer = Announcer::start(pool)?;
/// # Ok(())
/// # }
/// ```
///
/// It is a thread with a short statement of its own after a commit, on a connection of the pool, at
/// most every 2 milliseconds and then for all that was committed meanwhile. It is not a part of the
/// transactions themselves, because a transaction with a NOTIFY commits alone: with eight writers
/// they would wait for the disk one after the other.
///
/// An announcement may be lost (the process dies after the commit, say): then the next poll of a
/// worker finds what is due. What is committed by other means than this crate, or in a transaction
/// that others opened, is not announced; `SELECT pg_notify('flowstate_' ||
/// 'flowstate_flows'::regclass::oid, '')` does so by hand.
///
/// Elsewhere it does nothing: on SQLite workers that listen see every commit, on MySQL and MariaDB
/// none. One for each process and database is enough. When it is dropped, it announces what is left,
/// for two seconds at the longest.
#[must_use = "nothing is announced when this is dropped"]
#[derive(Debug)]
pub struct Announcer {
    board: Arc<Board>,
}

impl Announcer {
    /// Starts its thread.
    ///
    /// # Errors
    /// [`Error::NoThread`].
    pub fn start<M: ManageConnection<Connection: Store>>(pool: Pool<M>) -> Result<Self> {
        let board = Arc::new(Board::default());
        if M::Connection::ANNOUNCES {
            notify::register(&board);
            let theirs = Arc::clone(&board);
            let thread = std::thread::Builder::new().name("flowstate-announce".to_owned());
            let thread: std::io::Result<JoinHandle<()>> =
                thread.spawn(move || announce_all(&theirs, &pool));
            thread.map_err(|source| Error::NoThread { source })?;
        } else {
            board.notices().has_ended = true;
        }
        Ok(Self { board })
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        let mut notices = self.board.notices();
        notices.ends = true;
        self.board.bell.notify_all();
        let until = Instant::now() + PATIENCE;
        while !notices.has_ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            notices = self.board.wait(notices, left);
        }
    }
}

/// What is still to be announced.
#[derive(Debug, Default)]
struct Board {
    notices: Mutex<Notices>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Notices {
    /// Flows and states; two empty names: anything.
    due: BTreeSet<(&'static str, &'static str)>,
    /// Nothing more comes.
    ends: bool,
    /// Nothing more is announced.
    has_ended: bool,
}

impl Board {
    fn notices(&self) -> MutexGuard<'_, Notices> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(
        &self,
        notices: MutexGuard<'g, Notices>,
        pause: Duration,
    ) -> MutexGuard<'g, Notices> {
        self.bell.wait_timeout(notices, pause).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until there is something to announce. Nothing: it has ended.
    fn take(&self) -> BTreeSet<(&'static str, &'static str)> {
        let mut notices = self.notices();
        while notices.due.is_empty() && !notices.ends {
            notices = self.wait(notices, Duration::from_hours(1));
        }
        std::mem::take(&mut notices.due)
    }

    /// Waits so long, or until the end. Returns whether that has come.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut notices = self.notices();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || notices.ends {
                return notices.ends;
            }
            notices = self.wait(notices, left);
        }
    }
}

impl Listener for Board {
    fn notify(&self, notification: Option<Notification>) {
        let due = notification.map_or(("", ""), |told| (told.flow, told.state));
        let mut notices = self.notices();
        // whoever is at work sees it without being called
        if notices.due.insert(due) && notices.due.len() == 1 {
            drop(notices);
            self.bell.notify_all();
        }
    }
}

/// The thread.
fn announce_all<M: ManageConnection<Connection: Store>>(board: &Board, pool: &Pool<M>) {
    let mut pause = EVERY;
    loop {
        let due = board.take();
        if due.is_empty() {
            break;
        }
        let texts = due.iter().map(|(flow, state)| write(flow, state));
        let texts = texts.collect::<serde_json::Value>().to_string();
        let announced = caught("announcing", || announce(pool, &texts));
        match announced {
            Ok(()) => pause = EVERY,
            Err(error) => {
                if pause == EVERY {
                    let error = chain(&error);
                    report(|| tracing::warn!(error, "commits could not be announced"));
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                board.notices().due.extend(due);
            }
        }
        if board.pause(pause) && pause > EVERY {
            break;
        }
    }
    board.notices().has_ended = true;
    board.bell.notify_all();
}

fn announce<M: ManageConnection<Connection: Store>>(pool: &Pool<M>, texts: &str) -> Result<()> {
    let conn = pool.get_timeout(PATIENCE);
    let mut conn = conn.map_err(|error| Error::NoConnection { source: Box::new(error) })?;
    conn.announce(texts).explain(&mut *conn)
}
