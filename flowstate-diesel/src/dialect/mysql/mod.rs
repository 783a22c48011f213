//! MySQL, 8.0 or newer, and MariaDB, 10.6 or newer.

mod faults;
mod reads;
mod statements;
mod transactions;
mod version;
mod writes;

use diesel::connection::CacheSize;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, MysqlConnection, QueryResult, RunQueryDsl, dsl};

use self::statements::{FindVersions, LockMigrations, MakeVersions, SERVER, UnlockMigrations};
use self::version::refusal;
use super::begin::Commit;
use super::fault::{Failure, Fault};
use super::notices::Notices;
use super::sql::statement::{Bind, Bound, Statement};
use super::statements::{or_forget, runs_statements};
use super::{Dialect, Migration, Statements};
use crate::dialect::rows::{
    ArtefactColumns, ArtefactRow, CountColumns, CountRow, FlowColumns, FlowRow, HistoryColumns,
    HistoryRow,
};
use crate::error::{ConflictReason, Unfit};

crate::dialect::connection::as_store!(MysqlConnection);

impl Statements for MysqlConnection {
    fn classify(error: &diesel::result::Error) -> Fault {
        faults::classify(error)
    }

    runs_statements!();

    // One that failed after its first rows is left by the client library of MariaDB in a state in
    // which its next run waits for rows that never come (`mysql_stmt_execute` flushes what it takes
    // to be under way), and Diesel has no way to reset one, or to let go of one alone. This has it
    // cache on a connection that was told not to.
    fn forget_statements(&mut self) {
        self.set_prepared_statement_cache_size(CacheSize::Disabled);
        self.set_prepared_statement_cache_size(CacheSize::Unbounded);
    }
}

// It has no way to tell: the poll finds what others have committed.
impl Notices for MysqlConnection {}

impl Dialect for MysqlConnection {
    const MIGRATIONS: &'static [Migration] = &[Migration {
        version: "2026-11-23-000000",
        up: include_str!("../../../migrations/mysql/2026-11-23-000000_create_flowstate/up.sql"),
    }];
    const CREATING_COMMITS: bool = true;

    fn refusal(&mut self) -> QueryResult<Option<Unfit>> {
        let server = dsl::sql::<(Text, BigInt, BigInt)>(SERVER);
        let (server, is_unlogged, is_safe) = server.get_result::<(String, i64, i64)>(self)?;
        if is_safe == 1 {
            return Ok(Some(Unfit::SafeUpdates));
        }
        Ok(refusal(&server, is_unlogged == 1))
    }

    fn has_versions(&mut self) -> QueryResult<bool> {
        Ok(!self.counts::<FindVersions>(&[])?.is_empty())
    }

    // Outside the transaction in effect: CREATE TABLE commits it.
    fn lock_migrations(&mut self) -> Result<(), Failure> {
        // what a session without autocommit has read is locked meanwhile, or seen again as it was
        self.run::<Commit>(&[])?;
        let locked = self.counts::<LockMigrations>(&[])?;
        if locked.first().is_none_or(|row| row.number != 1) {
            let fault = Fault::conflict_with(ConflictReason::LockTimeout);
            return Err(Failure::Noticed(fault, "another process migrates"));
        }
        if !self.has_versions()? {
            self.run::<MakeVersions>(&[])?;
        }
        Ok(())
    }

    // The version is a row like others: whoever is let in next has to see it.
    fn unlock_migrations(&mut self) -> QueryResult<()> {
        let committed = self.run::<Commit>(&[]);
        let unlocked = self.run::<UnlockMigrations>(&[]);
        committed.and(unlocked).map(drop)
    }
}
