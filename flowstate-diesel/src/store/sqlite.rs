//! SQLite connections as this crate needs them.

use std::sync::atomic::AtomicUsize;
#[cfg(feature = "r2d2")]
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[cfg(feature = "r2d2")]
use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{RunQueryDsl, SqliteConnection, dsl};

use crate::dialect::Statements as _;
use crate::error::{Error, Result, Unfit};
use crate::transaction::instrument;
use crate::transaction::retry::Tries;

/// Sets what SQLite wants set on every connection. A customizer for r2d2 pools, and usable on a
/// single connection by [`Customizer::apply`].
///
/// - `busy_timeout`, first, so that the others wait too: 5 seconds by default. A writer waits so long
///   for another one, of this process too.
/// - `journal_mode`: WAL by default, in which readers and the writer do not block each other. It is
///   kept in the file, and switched only if the file has another.
///   Checkpoints are SQLite's, with its `wal_autocheckpoint`.
///   Threads that queue with transitions without closures have them committed together.
/// - `synchronous`: FULL by default, with which a commit survives a power cut.
/// - `foreign_keys = ON`, and asserted: the default depends on how SQLite was built.
///
/// ```
/// use flowstate_diesel::diesel::r2d2::{ConnectionManager, Pool};
/// use flowstate_diesel::prelude::*;
/// use flowstate_diesel::sqlite::Customizer;
///
/// # let folder = std::env::temp_dir().join(format!("flowstate-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).expect("a folder");
/// # let file = folder.join("app.db").display().to_string();
/// let pool = Pool::builder()
///     .max_size(4)
///     .connection_customizer(Box::new(Customizer::new()))
///     .build(ConnectionManager::<SqliteConnection>::new(file))
///     .expect("a pool");
/// # drop(pool);
/// # std::fs::remove_dir_all(folder).expect("removed");
/// ```
///
/// A database in memory belongs to one connection: a pool that opens a second one gets an error. It
/// is gone when the pool closes that connection, which r2d2 does after 10 minutes without use, and
/// after 30 in any case: build such a pool with
/// `.max_size(1).max_lifetime(None).idle_timeout(None)`.
#[derive(Debug)]
pub struct Customizer {
    busy_timeout: Duration,
    journal_mode: JournalMode,
    synchronous: Synchronous,
    #[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
    in_memory: AtomicUsize,
}

/// How SQLite keeps a transaction apart until it commits
/// (<https://www.sqlite.org/pragma.html#pragma_journal_mode>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JournalMode {
    /// A write-ahead log. Readers go on while somebody writes.
    #[default]
    Wal,
    /// A rollback journal. Readers keep a writer from committing; needed on network file systems.
    Delete,
}

/// When SQLite waits for the disk (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// At every commit: a commit survives a power cut.
    #[default]
    Full,
    /// With WAL at checkpoints only: a power cut may lose the last commits, but never breaks the
    /// file. A crash of the program loses nothing.
    Normal,
}

impl Default for Customizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Customizer {
    /// The defaults above.
    #[must_use]
    pub fn new() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            journal_mode: JournalMode::default(),
            synchronous: Synchronous::default(),
            in_memory: AtomicUsize::new(0),
        }
    }

    /// How long a writer waits for another one: at most 24 days, since SQLite counts milliseconds
    /// in 32 bits, and in whole ones.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How a transaction is kept apart until it commits.
    #[must_use]
    pub fn journal_mode(mut self, mode: JournalMode) -> Self {
        self.journal_mode = mode;
        self
    }

    /// When to wait for the disk.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Sets it all on one connection, outside a transaction.
    ///
    /// # Errors
    /// [`Error::Unfit`] if SQLite did not do as it was told; [`Error::Database`].
    pub fn apply(&self, conn: &mut SqliteConnection) -> Result<()> {
        self.in_turn(conn, Self::set)
    }

    /// A fresh file that one connection switches to another journal mode fails for others with
    /// "database is locked", whatever the busy time-out: the connections of this process take turns,
    /// and other processes are waited for.
    fn in_turn(
        &self,
        conn: &mut SqliteConnection,
        set: impl Fn(&Self, &mut SqliteConnection) -> Result<()>,
    ) -> Result<()> {
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tries = Tries::start();
        loop {
            let done = self.set_timeout(conn).and_then(|()| set(self, conn));
            match done {
                Err(Error::Database { source, .. })
                    if SqliteConnection::classify(&source).conflict().is_some()
                        && tries.again() => {}
                done => return done,
            }
        }
    }

    fn set_timeout(&self, conn: &mut SqliteConnection) -> Result<()> {
        // a time-out that is too long for SQLite is none at all to it
        let millis = self.busy_timeout.as_nanos().div_ceil(1_000_000);
        let millis = i32::try_from(millis).unwrap_or(i32::MAX);
        Ok(conn.batch_execute(&format!("PRAGMA busy_timeout = {millis}"))?)
    }

    fn set(&self, conn: &mut SqliteConnection) -> Result<()> {
        self.set_journal_mode(conn)?;
        let synchronous = match self.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        };
        conn.batch_execute(&format!("PRAGMA synchronous = {synchronous}"))?;
        conn.batch_execute("PRAGMA foreign_keys = ON")?;
        let on: i64 = dsl::sql::<BigInt>("PRAGMA foreign_keys").get_result(conn)?;
        if on == 1 { Ok(()) } else { Err(Error::Unfit(Unfit::NoForeignKeys)) }
    }

    fn set_journal_mode(&self, conn: &mut SqliteConnection) -> Result<()> {
        let wanted = match self.journal_mode {
            JournalMode::Wal => "wal",
            JournalMode::Delete => "delete",
        };
        let present: String = dsl::sql::<Text>("PRAGMA journal_mode").get_result(conn)?;
        if present == wanted || present == "memory" {
            return Ok(());
        }
        let found: String =
            dsl::sql::<Text>(&format!("PRAGMA journal_mode = {wanted}")).get_result(conn)?;
        if found == wanted {
            return Ok(());
        }
        Err(Error::Unfit(Unfit::JournalModeKept { wanted, found }))
    }

    /// Counts the connections to databases in memory: a second one would see another database.
    #[cfg(feature = "r2d2")]
    fn set_one_of_many(&self, conn: &mut SqliteConnection) -> Result<()> {
        let in_memory = is_in_memory(conn)?;
        if in_memory && self.in_memory.fetch_add(1, Ordering::SeqCst) > 0 {
            self.in_memory.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::Unfit(Unfit::SecondConnectionInMemory));
        }
        let set = self.set(conn);
        if in_memory && set.is_err() {
            self.in_memory.fetch_sub(1, Ordering::SeqCst);
        }
        set
    }
}

/// How many threads of this process wait to write to the file of this connection. SQLite has one
/// writer at a time; the transactions of this crate queue for it.
pub fn waiting_writers(conn: &mut SqliteConnection) -> usize {
    instrument::waiting(conn)
}

#[cfg(feature = "r2d2")]
impl diesel::r2d2::CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Customizer {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        self.in_turn(conn, Self::set_one_of_many).map_err(|error| match error {
            Error::Database { source, .. } => diesel::r2d2::Error::QueryError(source),
            error => {
                let problem = diesel::ConnectionError::BadConnection(error.to_string());
                diesel::r2d2::Error::ConnectionError(problem)
            }
        })
    }

    fn on_release(&self, mut conn: SqliteConnection) {
        if is_in_memory(&mut conn).unwrap_or(false) {
            self.in_memory.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(
                "a pool has closed its database in memory, and all that was in it is gone; build \
                 the pool with `.max_lifetime(None).idle_timeout(None)`"
            );
        }
    }
}

/// Whether the main database has no file.
#[cfg(feature = "r2d2")]
fn is_in_memory(conn: &mut SqliteConnection) -> QueryResult<bool> {
    let file: String =
        dsl::sql::<Text>("SELECT file FROM pragma_database_list WHERE name = 'main'")
            .get_result(conn)?;
    Ok(file.is_empty())
}
