//! SQLite.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, Pool};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{Connection, RunQueryDsl, SqliteConnection, dsl};
use flowstate_diesel::sqlite::{Customizer, JournalMode};
use tempfile::TempDir;

use super::{Database, Isolation};
use crate::statement_probe::Probe;

/// SQLite, a file in a folder of its own, with a write-ahead log.
#[derive(Debug)]
pub struct Sqlite {
    folder: TempDir,
}

/// SQLite, a file in a folder of its own, with a rollback journal.
#[derive(Debug)]
pub struct RollbackJournal(Sqlite);

impl Sqlite {
    fn file(&self) -> String {
        self.folder.path().join("flows.db").display().to_string()
    }
}

/// A connection with these pragmas. It does not wait for the disk: no test cuts the power.
#[must_use]
pub fn open(url: &str, customizer: &Customizer) -> SqliteConnection {
    let mut conn = SqliteConnection::establish(url).expect("a connection");
    customizer.apply(&mut conn).expect("the pragmas");
    conn.batch_execute("PRAGMA synchronous = OFF").expect("the pragma");
    conn
}

fn pool(
    url: String,
    size: u32,
    customizer: Customizer,
) -> Pool<ConnectionManager<SqliteConnection>> {
    Pool::builder()
        .max_size(size)
        .connection_customizer(Box::new(customizer))
        .build(ConnectionManager::new(url))
        .expect("a pool")
}

/// The pragmas, and a probe.
#[derive(Debug)]
struct Probed(Customizer, Probe);

impl CustomizeConnection<SqliteConnection, Error> for Probed {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), Error> {
        self.0.on_acquire(conn)?;
        self.1.on_acquire(conn)
    }
}

fn probed(url: &str, size: u32, customizer: Probed) -> Pool<ConnectionManager<SqliteConnection>> {
    Pool::builder()
        .max_size(size)
        .connection_customizer(Box::new(customizer))
        .build(ConnectionManager::new(url))
        .expect("a pool")
}

/// A checkpoint that empties the log has to have the file for itself.
fn in_use(conn: &mut SqliteConnection) -> i64 {
    dsl::sql::<BigInt>("PRAGMA wal_checkpoint(TRUNCATE)").get_result(conn).expect("a checkpoint")
}

/// Without a write-ahead log readers wait for writers, in no queue: on a machine with much to do longer
/// than the usual 5 s.
fn rollback_journal() -> Customizer {
    Customizer::new().journal_mode(JournalMode::Delete).busy_timeout(Duration::from_mins(1))
}

const SHORT: Duration = Duration::from_millis(100);

impl Database for Sqlite {
    type Conn = SqliteConnection;

    const FOLDER: &'static str = "sqlite";
    const ISOLATION: Isolation = Isolation::Serializable;

    fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn url(&self) -> String {
        self.file()
    }

    fn connect_to(url: &str) -> SqliteConnection {
        open(url, &Customizer::new())
    }

    fn impatient(&self) -> SqliteConnection {
        open(&self.file(), &Customizer::new().busy_timeout(SHORT))
    }

    fn pool(&self, size: u32) -> Pool<ConnectionManager<SqliteConnection>> {
        pool(self.file(), size, Customizer::new())
    }

    fn probed_pool(
        url: &str,
        size: u32,
        probe: Probe,
    ) -> Pool<ConnectionManager<SqliteConnection>> {
        probed(url, size, Probed(Customizer::new(), probe))
    }

    fn open_transactions(conn: &mut SqliteConnection) -> i64 {
        in_use(conn)
    }

    fn waiting_writers(conn: &mut SqliteConnection) -> usize {
        flowstate_diesel::sqlite::waiting_writers(conn)
    }

    fn number(conn: &mut SqliteConnection, sql: &str) -> i64 {
        dsl::sql::<BigInt>(sql).get_result(conn).expect(sql)
    }

    fn text(conn: &mut SqliteConnection, sql: &str) -> Option<String> {
        dsl::sql::<Nullable<Text>>(sql).get_result(conn).expect(sql)
    }
}

impl Database for RollbackJournal {
    type Conn = SqliteConnection;

    const FOLDER: &'static str = Sqlite::FOLDER;
    const ISOLATION: Isolation = Isolation::Serializable;

    fn empty() -> Self {
        Self(Sqlite::empty())
    }

    fn url(&self) -> String {
        self.0.file()
    }

    fn connect_to(url: &str) -> SqliteConnection {
        open(url, &rollback_journal())
    }

    fn impatient(&self) -> SqliteConnection {
        open(&self.0.file(), &rollback_journal().busy_timeout(SHORT))
    }

    fn pool(&self, size: u32) -> Pool<ConnectionManager<SqliteConnection>> {
        pool(self.0.file(), size, rollback_journal())
    }

    fn probed_pool(
        url: &str,
        size: u32,
        probe: Probe,
    ) -> Pool<ConnectionManager<SqliteConnection>> {
        probed(url, size, Probed(rollback_journal(), probe))
    }

    fn open_transactions(conn: &mut SqliteConnection) -> i64 {
        in_use(conn)
    }

    fn waiting_writers(conn: &mut SqliteConnection) -> usize {
        flowstate_diesel::sqlite::waiting_writers(conn)
    }

    fn number(conn: &mut SqliteConnection, sql: &str) -> i64 {
        Sqlite::number(conn, sql)
    }

    fn text(conn: &mut SqliteConnection, sql: &str) -> Option<String> {
        Sqlite::text(conn, sql)
    }
}
