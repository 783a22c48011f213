//! SQLite: a file in a folder of its own, with a write-ahead log.

use std::path::Path;
use std::time::Duration;

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use flowstate_diesel::sqlite::{Customizer, Synchronous};
use tempfile::TempDir;

use super::{Database, prepare, uses_ledger};
use crate::floor::{self, Floor};

pub(crate) struct Sqlite {
    folder: TempDir,
    synchronous: Synchronous,
}

impl Sqlite {
    pub(crate) fn new(folder: Option<&Path>, synchronous: Synchronous) -> Self {
        let folder = match folder {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        let database = Self { folder: folder.expect("a folder"), synchronous };
        prepare(&database);
        database
    }

    fn level(&self) -> &'static str {
        match self.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        }
    }
}

/// Waits longer than the longest starvation of the floor.
pub(crate) fn customizer(synchronous: Synchronous) -> Customizer {
    Customizer::new().synchronous(synchronous).busy_timeout(Duration::from_mins(1))
}

impl Database for Sqlite {
    type Conn = SqliteConnection;

    const GUARDED: Option<fn(&mut SqliteConnection, i64, i64)> = Some(floor::dsl::guarded);

    fn name(&self) -> String {
        format!("SQLite {}", self.level())
    }

    fn url(&self) -> String {
        self.folder.path().join("flows.db").display().to_string()
    }

    fn connect(&self) -> SqliteConnection {
        let mut conn = SqliteConnection::establish(&self.url()).expect("a connection");
        customizer(self.synchronous).apply(&mut conn).expect("the pragmas");
        conn
    }

    fn floor(&self) -> Box<dyn Floor> {
        Box::new(floor::sqlite::Sqlite::open(&self.url(), self.level()))
    }

    fn pool(&self, size: usize) -> Pool<ConnectionManager<SqliteConnection>> {
        Pool::builder()
            .max_size(u32::try_from(size).expect("a small pool"))
            .test_on_check_out(false)
            .connection_customizer(Box::new(customizer(self.synchronous)))
            .build(ConnectionManager::new(self.url()))
            .expect("a pool")
    }

    uses_ledger!();

    fn settle(&self) {
        self.run("PRAGMA wal_checkpoint(TRUNCATE)");
    }
}
