//! Transactions of PostgreSQL.

use diesel::connection::AnsiTransactionManager;
use diesel::{PgConnection, QueryResult};

use super::statements::{BEGIN_BOUNDED, CheckTransaction, MarkTransaction, ReadMark};
use crate::dialect::fault::Fault;
use crate::dialect::rows::CountRow;
use crate::dialect::{Obstacle, Statements as _, Transactions, Waits};
use crate::error::Unfit;

impl Transactions for PgConnection {
    // Without a `lock_timeout` it waits for ever. A bound costs no round trip, as part of the text.
    fn begin(&mut self, waits: Waits) -> QueryResult<()> {
        let text = match waits {
            Waits::AsSet => "BEGIN",
            Waits::Bounded => BEGIN_BOUNDED,
        };
        AnsiTransactionManager::begin_transaction_sql(self, text)
    }

    // After a statement that failed COMMIT is answered with "ROLLBACK", which is no error.
    fn before_commit(&mut self) -> QueryResult<()> {
        self.run::<CheckTransaction>(&[]).map(drop)
    }

    // A second BEGIN is only warned of <https://www.postgresql.org/docs/current/sql-begin.html>.
    fn obstacle(&mut self) -> QueryResult<Option<Obstacle>> {
        match self.counts::<MarkTransaction>(&[]) {
            Ok(_) => {}
            Err(error) if Self::classify(&error) == Fault::Aborted => {
                return Ok(Some(Obstacle::ByHand));
            }
            Err(error) => return Err(error),
        }
        let session = self.counts::<ReadMark>(&[])?.into_iter().next();
        Ok(session.and_then(|CountRow { label: encoding, number: open }| {
            let remedy = "SET client_encoding = 'UTF8'";
            match (open, &*encoding) {
                (1, _) => Some(Obstacle::ByHand),
                (_, "UTF8") => None,
                _ => Some(Obstacle::Unfit(Unfit::Encoding { found: encoding, remedy })),
            }
        }))
    }
}
