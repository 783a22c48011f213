//! SQLite, 3.35 or newer (`RETURNING`).

mod faults;
mod notices;
mod reads;
mod statements;
mod transactions;
mod version;
mod writes;

use diesel::result::Error;
use diesel::{QueryResult, RunQueryDsl, SqliteConnection};

use self::statements::{FindVersions, LibraryVersion, MakeVersions, ReadJson};
use self::version::refusal;
use super::fault::{Failure, Fault, message};
use super::sql::statement::{Bind, Bound, Statement};
use super::statements::{or_forget, runs_statements};
use super::{Dialect, Migration, Statements};
use crate::dialect::rows::{
    ArtefactColumns, ArtefactRow, CountColumns, CountRow, FlowColumns, FlowRow, HistoryColumns,
    HistoryRow,
};
use crate::error::Unfit;

crate::dialect::connection::as_store!(SqliteConnection);

impl Statements for SqliteConnection {
    fn classify(error: &Error) -> Fault {
        faults::classify(error)
    }

    runs_statements!();
}

impl Dialect for SqliteConnection {
    const MIGRATIONS: &'static [Migration] = &[Migration {
        version: "2026-11-23-000000",
        up: include_str!("../../../migrations/sqlite/2026-11-23-000000_create_flowstate/up.sql"),
    }];

    // The file may be another writer's just then, which says nothing of the library.
    fn refusal(&mut self) -> QueryResult<Option<Unfit>> {
        let versions = self.counts::<LibraryVersion>(&[])?;
        let has_json = match self.counts::<ReadJson>(&[]) {
            Err(error) if message(&error).is_some_and(|text| text.starts_with("no such ")) => false,
            read => read.map(|_| true)?,
        };
        Ok(versions.first().and_then(|version| refusal(&version.label, has_json)))
    }

    fn has_versions(&mut self) -> QueryResult<bool> {
        Ok(!self.counts::<FindVersions>(&[])?.is_empty())
    }

    // BEGIN IMMEDIATE keeps everybody else out already.
    fn lock_migrations(&mut self) -> Result<(), Failure> {
        if !self.has_versions()? {
            self.run::<MakeVersions>(&[])?;
        }
        Ok(())
    }
}
