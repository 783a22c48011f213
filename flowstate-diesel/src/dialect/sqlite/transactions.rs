//! Transactions of SQLite.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::BigInt;
use diesel::{QueryResult, RunQueryDsl, SqliteConnection, dsl};

use super::statements::{BeginDeferred, BeginImmediate, FileAndTimeout};
use crate::dialect::begin::{self, Commit};
use crate::dialect::checkpoint::LogLength;
use crate::dialect::fault::{Failure, Fault};
use crate::dialect::write_queue::{QueueAccess, WriteQueue};
use crate::dialect::{Statements as _, Transactions};

const TRANSACTION_GONE: &str = "the database has ended the transaction after an earlier failure";

impl Transactions for SqliteConnection {
    // A plain BEGIN that reads before it writes fails with SQLITE_BUSY_SNAPSHOT as soon as somebody
    // else has written, whatever the busy time-out <https://www.sqlite.org/isolation.html>.
    fn begin(&mut self) -> QueryResult<()> {
        begin::begin::<_, BeginImmediate>(self)
    }

    fn begin_reading(&mut self) -> QueryResult<()> {
        begin::begin::<_, BeginDeferred>(self)
    }

    fn commit(&mut self) -> QueryResult<()> {
        begin::commit::<_, Commit>(self)
    }

    // A failed statement leaves the transaction usable; COMMIT commits what is there.
    fn before_commit(&mut self) -> QueryResult<()> {
        Ok(())
    }

    // A writer that finds the file locked asks again after ever longer pauses, up to its time-out.
    fn write_queue(&mut self) -> QueryResult<Option<QueueAccess>> {
        let files = self.counts::<FileAndTimeout>(&[])?;
        let file = files.into_iter().find(|file| !file.label.is_empty());
        Ok(file.map(|file| QueueAccess {
            queue: WriteQueue::of(&file.label),
            patience: Duration::from_millis(u64::try_from(file.number).unwrap_or_default()),
        }))
    }

    // A passive checkpoint waits for nobody, and nobody for it. Who has switched automatic ones off
    // has another program make them <https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>.
    fn checkpoint(&mut self) -> QueryResult<Option<LogLength>> {
        let most = dsl::sql::<BigInt>("PRAGMA wal_autocheckpoint").get_result::<i64>(self)?;
        if most <= 0 {
            return Ok(None);
        }
        let checkpoint = dsl::sql::<(BigInt, BigInt, BigInt)>("PRAGMA wal_checkpoint(PASSIVE)");
        let (_, pages, _) = checkpoint.get_result::<(i64, i64, i64)>(self)?;
        // -1 without a write-ahead log
        Ok((pages >= 0).then_some(LogLength { pages, most }))
    }

    // Some failures end the transaction, and what follows commits by itself
    // <https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction>.
    // Diesel looks whether one is open after a text that failed, as this one does.
    fn join(&mut self) -> Result<(), Failure> {
        let depth = self.depth()?;
        self.batch_execute("RELEASE flowstate_nowhere").unwrap_or_default();
        if depth > 0 && self.depth()? == depth {
            return Ok(());
        }
        self.set_depth(depth);
        Err(Failure::Noticed(Fault::Aborted, TRANSACTION_GONE))
    }
}
