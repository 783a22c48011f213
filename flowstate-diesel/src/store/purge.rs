//! Deleting what has long been done.

use std::time::Duration;

use flowstate::Flow;

use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::sql::shared::{FinishedSince, LockFinished};
use crate::dialect::sql::statement::Bind;
use crate::error::{RecordRef, Result};
use crate::transaction;
use crate::transaction::explain::explain;
use crate::transaction::read::read;
use crate::transition::apply::destroy;
use crate::transition::request::micros;

/// How many records are deleted in one transaction, if nothing else is said.
const BATCH: u32 = 100;

/// Deletes records that were completed long ago, with their histories and artefacts.
///
/// ```
/// # use flowstate_diesel::prelude::*;
/// # fn main() -> flowstate_diesel::Result<()> {
/// # let mut conn = SqliteConnection::establish(":memory:").expect("memory");
/// # flowstate_diesel::migrate(&mut conn)?;
/// use std::time::Duration;
///
/// use flowstate_diesel::Purge;
///
/// let deleted = Purge::older_than(Duration::from_hours(90 * 24)).run(&mut conn)?;
/// # assert_eq!(deleted, 0);
/// # Ok(())
/// # }
/// ```
///
/// - Only what is completed when it is deleted goes: that is asked under the row's lock. What others
///   have locked is passed over.
/// - Ages are told by the database's clock.
/// - It deletes in batches, each in a transaction of its own, and passes over the table once. If it
///   is interrupted, what was deleted so far stays so, whole records all of them; it can be run
///   again at any time, and by several processes at once.
///
/// A key of a deleted record is free again.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is deleted until `.run(…)`"]
pub struct Purge {
    age: Duration,
    flow: Option<&'static str>,
    batch: u32,
}

impl Purge {
    /// Records of all flows that were completed at least so long ago; more than 1,000 years count
    /// as 1,000 years.
    pub fn older_than(age: Duration) -> Self {
        Self { age, flow: None, batch: BATCH }
    }

    /// Only records of this flow.
    pub fn of<F: Flow>(self) -> Self {
        Self { flow: Some(F::NAME), ..self }
    }

    /// How many records are deleted in one transaction, at least one: 100 by default.
    pub fn batch(self, records: u32) -> Self {
        Self { batch: records.max(1), ..self }
    }

    /// Deletes them, and returns how many.
    ///
    /// Inside a transaction of the caller's all of it belongs to that transaction.
    ///
    /// # Errors
    /// A conflict, [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) or
    /// [`Error::Database`](crate::Error::Database): the batches before are deleted, outside a
    /// transaction; run it again.
    pub fn run<S: AsStore>(&self, conn: &mut S) -> Result<u64> {
        let conn = conn.as_store();
        let (mut deleted, mut after) = (0, 0);
        loop {
            let found = self.find(conn, after)?;
            let Some(last) = found.last() else { return Ok(deleted) };
            after = *last;
            let gone = transaction::run(conn, &mut |conn| self.delete(conn, &found))?;
            tracing::debug!(deleted = gone, "purged");
            deleted += gone;
        }
    }

    /// The next ids, which nobody has locked.
    fn find<C: Dialect>(&self, conn: &mut C, after: i64) -> Result<Vec<i64>> {
        let binds = [
            Bind::Int(after),
            Bind::Int(micros(self.age)),
            Bind::Maybe(self.flow),
            Bind::Maybe(self.flow),
            Bind::Int(self.batch.into()),
        ];
        let record = RecordRef { flow: self.flow.unwrap_or("flow"), id: None };
        let rows = read(conn, record, |conn| conn.counts::<FinishedSince>(&binds))?;
        Ok(rows.into_iter().map(|row| row.number).collect())
    }

    fn delete<C: Dialect>(&self, conn: &mut C, ids: &[i64]) -> Result<u64> {
        let mut deleted = 0;
        for &id in ids {
            let gone = self.delete_one(conn, id).map_err(|error| explain(conn, None, error))?;
            deleted += u64::from(gone);
        }
        Ok(deleted)
    }

    fn delete_one<C: Dialect>(&self, conn: &mut C, id: i64) -> diesel::QueryResult<bool> {
        let rows = conn.counts::<LockFinished>(&[Bind::Int(id), Bind::Int(micros(self.age))])?;
        match rows.first() {
            Some(row) => destroy(conn, id, row.number),
            None => Ok(false),
        }
    }
}
