//! Transactions of SQLite.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{QueryResult, SqliteConnection};

use super::statements::{BeginDeferred, BeginImmediate, FileAndTimeout, Manner, Triggers};
use crate::dialect::begin::{self, Commit};
use crate::dialect::fault::{Failure, Fault};
use crate::dialect::write_queue::{QueueAccess, WriteQueue};
use crate::dialect::{Statements as _, Transactions, Waits};

const TRANSACTION_GONE: &str = "the database has ended the transaction after an earlier failure";

impl Transactions for SqliteConnection {
    // A plain BEGIN that reads before it writes fails with SQLITE_BUSY_SNAPSHOT as soon as somebody
    // else has written, whatever the busy time-out <https://www.sqlite.org/isolation.html>.
    fn begin(&mut self, _: Waits) -> QueryResult<()> {
        begin::begin::<_, BeginImmediate>(self)
    }

    fn begin_reading(&mut self) -> QueryResult<()> {
        begin::begin::<_, BeginDeferred>(self)
    }

    fn commit(&mut self, _: Waits) -> QueryResult<()> {
        let committed = self.run::<Commit>(&[]);
        begin::ended(self, committed)
    }

    // A failed statement leaves the transaction usable; COMMIT commits what is there.
    fn before_commit(&mut self) -> QueryResult<()> {
        Ok(())
    }

    // A writer that finds the file locked asks again after ever longer pauses, up to its time-out.
    fn write_queue(&mut self) -> QueryResult<Option<QueueAccess>> {
        let files = self.counts::<FileAndTimeout>(&[])?;
        let Some(file) = files.into_iter().find(|file| !file.label.is_empty()) else {
            return Ok(None);
        };
        // a build without these pragmas says so by an error
        let manner = self.counts::<Manner>(&[]).unwrap_or_default().into_iter().next();
        Ok(Some(QueueAccess {
            queue: WriteQueue::of(&identified(file.label)),
            patience: Duration::from_millis(u64::try_from(file.number).unwrap_or_default()),
            manner: manner.filter(|manner| manner.number == 0).map(|manner| manner.label.into()),
            wrote: false,
            stale: false,
        }))
    }

    fn has_triggers(&mut self) -> QueryResult<bool> {
        Ok(!self.counts::<Triggers>(&[])?.is_empty())
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

/// The file of this path and no other that was there before, or that takes its place.
fn identified(path: String) -> String {
    #[cfg(unix)]
    if let Ok(file) = std::fs::metadata(&path) {
        use std::os::unix::fs::MetadataExt as _;
        return format!("{path}:{}:{}", file.dev(), file.ino());
    }
    path
}
