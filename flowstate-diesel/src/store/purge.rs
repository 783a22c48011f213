//! Deleting what has long been done.

use std::time::Duration;

use diesel::result::Error::DatabaseError;
use flowstate::Flow;

use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::fault::Fault;
use crate::dialect::sql::shared::{FinishedSince, LockFinished};
use crate::dialect::sql::statement::Bind;
use crate::error::{Error, RecordRef, Result};
use crate::text::chain::chain;
use crate::text::time::micros;
use crate::transaction;
use crate::transaction::explain::explain;
use crate::transaction::read::read;
use crate::transition::destroy::destroy;

/// How many records are deleted in one transaction, if nothing else is said.
const BATCH: u32 = 100;

/// So many records that had to stay are told one by one, and how many more there were.
const MOST_TOLD: u64 = 100;

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
///   have locked, or refer to in transactions that are open, is passed over.
/// - A record that the database does not let go, because a table of yours refers to it, say, keeps
///   nothing else: it is passed over, and told once, as the event `a record could not be purged`
///   with its id and the database's own words.
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
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown), [`Error::Database`] if the connection
    /// or the whole database failed, and in a transaction of the caller's a conflict: the batches
    /// before are deleted, outside a transaction; run it again.
    pub fn run<S: AsStore>(&self, conn: &mut S) -> Result<u64> {
        let conn = conn.as_store();
        let (mut deleted, mut kept, mut after) = (0, 0_u64, 0);
        loop {
            let found = self.find(conn, after)?;
            let Some((last, _)) = found.last() else { break };
            after = *last;
            let gone = match self.delete(conn, &found) {
                Err(error) if is_of_a_record::<S::Store>(&error) => {
                    self.delete_each(conn, &found, &mut kept)?
                }
                gone => gone?,
            };
            tracing::debug!(deleted = gone, "purged");
            deleted += gone;
        }
        if kept > MOST_TOLD {
            tracing::warn!(records = kept, "records could not be purged");
        }
        Ok(deleted)
    }

    /// The next ids, each with the flow it is of.
    fn find<C: Dialect>(&self, conn: &mut C, after: i64) -> Result<Vec<(i64, String)>> {
        let binds = [
            Bind::Int(after),
            Bind::Int(micros(self.age)),
            Bind::Maybe(self.flow),
            Bind::Maybe(self.flow),
            Bind::Int(self.batch.into()),
        ];
        let record = RecordRef { flow: self.flow.unwrap_or("flow"), id: None };
        let rows = read(conn, record, |conn| conn.counts::<FinishedSince>(&binds))?;
        Ok(rows.into_iter().map(|row| (row.number, row.label)).collect())
    }

    /// One by one, each in a transaction of its own: `kept` counts those that had to stay.
    fn delete_each<C: Dialect>(
        &self,
        conn: &mut C,
        records: &[(i64, String)],
        kept: &mut u64,
    ) -> Result<u64> {
        let mut deleted = 0;
        for record in records {
            match self.delete(conn, std::slice::from_ref(record)) {
                Err(error) if is_of_a_record::<C>(&error) => {
                    *kept += 1;
                    if *kept <= MOST_TOLD {
                        let ((id, flow), error) = (record, chain(&error));
                        tracing::warn!(flow, id, error, "a record could not be purged");
                    }
                }
                gone => deleted += gone?,
            }
        }
        Ok(deleted)
    }

    fn delete<C: Dialect>(&self, conn: &mut C, records: &[(i64, String)]) -> Result<u64> {
        transaction::run(conn, &mut |conn| {
            let is_alone = conn.depth().is_ok_and(|depth| depth == 1);
            if is_alone {
                conn.bound_waits().map_err(|error| explain(conn, None, error))?;
            }
            let mut deleted = 0;
            for (id, flow) in records {
                let gone =
                    self.delete_one(conn, *id).map_err(|error| explain(conn, None, error))?;
                match gone {
                    Gone::Deleted => deleted += 1,
                    Gone::NotFree => {}
                    Gone::Skipped => return Err(Error::skipped(format_args!("{flow} #{id}"))),
                }
            }
            Ok(deleted)
        })
    }

    fn delete_one<C: Dialect>(&self, conn: &mut C, id: i64) -> diesel::QueryResult<Gone> {
        let rows = conn.counts::<LockFinished>(&[Bind::Int(id), Bind::Int(micros(self.age))])?;
        let Some(row) = rows.first() else { return Ok(Gone::NotFree) };
        let deleted = destroy(conn, id, row.number, true)?;
        Ok(if deleted { Gone::Deleted } else { Gone::Skipped })
    }
}

/// What became of a record.
enum Gone {
    Deleted,
    /// Others have locked it, or it is not completed any more.
    NotFree,
    /// The database did not delete it, and gave no error.
    Skipped,
}

/// Whether the others can be deleted though one of these cannot.
fn is_of_a_record<C: Dialect>(error: &Error) -> bool {
    match error {
        Error::Conflict { whole_transaction, .. } => !whole_transaction,
        Error::Database { source: source @ DatabaseError(..), .. } => {
            matches!(C::classify(source), Fault::Refused | Fault::Unexplained)
        }
        Error::WriteSkipped { .. } => true,
        _ => false,
    }
}
