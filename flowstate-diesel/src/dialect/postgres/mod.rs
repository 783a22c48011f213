//! PostgreSQL, 13 or newer.

mod faults;
mod notices;
mod reads;
mod statements;
mod transactions;
mod version;
mod writes;

use diesel::{PgConnection, QueryResult, RunQueryDsl};

use self::statements::{FindVersions, LockMigrations, MakeVersions, ReadCommitted, ServerVersion};
use self::version::refusal;
use super::fault::{Failure, Fault};
use super::sql::statement::{Bind, Bound, Statement};
use super::statements::{or_forget, runs_statements};
use super::{Dialect, Migration, Statements, Transactions as _};
use crate::dialect::rows::{
    ArtefactColumns, ArtefactRow, CountColumns, CountRow, FlowColumns, FlowRow, HistoryColumns,
    HistoryRow,
};
use crate::error::Unfit;

crate::dialect::connection::as_store!(PgConnection);

impl Statements for PgConnection {
    fn classify(error: &diesel::result::Error) -> Fault {
        faults::classify(error)
    }

    runs_statements!();
}

impl Dialect for PgConnection {
    const MIGRATIONS: &'static [Migration] = &[Migration {
        version: "2026-11-23-000000",
        up: include_str!(
            "../../../migrations/postgresql/2026-11-23-000000_create_flowstate/up.sql"
        ),
    }];

    fn refusal(&mut self) -> QueryResult<Option<Unfit>> {
        let versions = self.counts::<ServerVersion>(&[])?;
        Ok(versions.first().and_then(|version| refusal(&version.label, version.number)))
    }

    fn has_versions(&mut self) -> QueryResult<bool> {
        Ok(!self.counts::<FindVersions>(&[])?.is_empty())
    }

    fn lock_migrations(&mut self) -> Result<(), Failure> {
        if self.depth()? == 1 {
            self.run::<ReadCommitted>(&[])?;
        }
        self.run::<LockMigrations>(&[])?;
        if !self.has_versions()? {
            self.run::<MakeVersions>(&[])?;
        }
        Ok(())
    }
}
