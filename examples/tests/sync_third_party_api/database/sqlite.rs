use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use flowstate_diesel::Audit;
use flowstate_diesel::sqlite::Customizer;
use tempfile::TempDir;

use super::Database;

/// The file that the program makes where it runs.
pub(crate) const FILE: &str = "sync_third_party_api.db";

/// A fresh folder.
pub(crate) struct Sqlite {
    folder: TempDir,
}

impl Sqlite {
    /// Changes what is stored, while the program does not run.
    pub(crate) fn execute(&self, change: &str) {
        let path = self.folder().join(FILE).display().to_string();
        let mut conn = SqliteConnection::establish(&path).expect("a connection");
        assert_eq!(sql_query(change).execute(&mut conn), Ok(1), "{change}");
    }

    /// Keeps the program from writing until the connection is dropped.
    pub(crate) fn hold(&self) -> SqliteConnection {
        let path = self.folder().join(FILE).display().to_string();
        let mut conn = SqliteConnection::establish(&path).expect("a connection");
        let lock = "PRAGMA busy_timeout = 30000; BEGIN IMMEDIATE";
        conn.batch_execute(lock).expect("the write lock");
        conn
    }
}

impl Database for Sqlite {
    fn fresh() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn arguments(&self) -> Vec<String> {
        Vec::new()
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn try_number(&self, query: &str) -> Option<i64> {
        let url = format!("file:{}?mode=ro", self.folder().join(FILE).display());
        let mut conn = SqliteConnection::establish(&url).ok()?;
        sql::<BigInt>(query).get_result(&mut conn).ok()
    }

    fn audit(&self) -> Audit {
        let path = self.folder().join(FILE).display().to_string();
        let mut conn = SqliteConnection::establish(&path).expect("a connection");
        Customizer::new().apply(&mut conn).expect("the pragmas");
        flowstate_diesel::audit(&mut conn).expect("the audit ran")
    }
}
