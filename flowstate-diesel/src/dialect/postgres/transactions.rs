//! Transactions of PostgreSQL.

use diesel::connection::AnsiTransactionManager;
use diesel::{PgConnection, QueryResult};

use super::statements::{BoundWaits, CheckTransaction, MarkTransaction, ReadMark};
use crate::dialect::fault::Fault;
use crate::dialect::{Statements as _, Transactions};

impl Transactions for PgConnection {
    fn begin(&mut self) -> QueryResult<()> {
        AnsiTransactionManager::begin_transaction_sql(self, "BEGIN")
    }

    // After a statement that failed COMMIT is answered with "ROLLBACK", which is no error.
    fn before_commit(&mut self) -> QueryResult<()> {
        self.run::<CheckTransaction>(&[]).map(drop)
    }

    // A second BEGIN is only warned of <https://www.postgresql.org/docs/current/sql-begin.html>.
    fn is_in_transaction(&mut self) -> QueryResult<bool> {
        match self.counts::<MarkTransaction>(&[]) {
            Ok(_) => Ok(!self.counts::<ReadMark>(&[])?.is_empty()),
            Err(error) if Self::classify(&error) == Fault::Aborted => Ok(true),
            Err(error) => Err(error),
        }
    }

    // Without a `lock_timeout` it waits for ever.
    fn bound_waits(&mut self) -> QueryResult<()> {
        self.counts::<BoundWaits>(&[]).map(drop)
    }
}
