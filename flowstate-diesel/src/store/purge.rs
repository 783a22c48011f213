//! Deleting what has long been done.

use std::time::Duration;

use flowstate::{Definition, Flow};

use crate::dialect::Dialect;
use crate::dialect::connection::{AsStore, Store};
use crate::dialect::sql::shared::{FinishedSince, LockFinished};
use crate::dialect::sql::statement::Bind;
use crate::error::{Error, RecordRef, Result};
use crate::metrics::{PURGE, Taken};
use crate::text::chain::chain;
use crate::text::time::micros;
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::parts::is_of_a_record;
use crate::transaction::read::read;
use crate::transaction::scope;
use crate::transition::destroy::destroy;

/// How many records are deleted in one transaction, if nothing else is said.
const BATCH: u32 = 100;

/// Nothing was completed before.
const BEFORE_ALL: &str = "1000-01-01 00:00:00.000000";

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
/// - It deletes flow by flow, what was completed first at first, in batches, each in a transaction of
///   its own. It reads nothing but what it deletes, or has to leave. If it is interrupted, what was
///   deleted so far stays so, whole records all of them; it can be run again at any time, and by
///   several processes at once.
///
/// A key of a deleted record is free again.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is deleted until `.run(…)`"]
pub struct Purge {
    age: Duration,
    flow: Option<&'static Definition>,
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
        Self { flow: Some(F::DEFINITION), ..self }
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
    /// or the whole database failed, and a conflict in a transaction of the caller's or where another
    /// writer has all of SQLite: the batches before are deleted, outside a transaction; run it again.
    pub fn run(&self, conn: &mut impl AsStore) -> Result<u64> {
        let mut deleted = 0;
        self.run_telling(conn, |ids| deleted += ids.len())?;
        Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
    }

    /// Deletes them, and tells after each transaction which records are gone.
    ///
    /// # Errors
    /// As [`Purge::run`]: what was told is deleted.
    pub fn run_telling(&self, conn: &mut impl AsStore, mut gone: impl FnMut(&[i64])) -> Result<()> {
        let (conn, mut kept) = (conn.as_store(), 0);
        for flow in self.flows(conn)? {
            self.run_one(conn, &flow, &mut kept, &mut gone)?;
        }
        if kept > MOST_TOLD {
            tracing::warn!(records = kept, "records could not be purged");
        }
        Ok(())
    }

    /// The flows whose records are deleted.
    fn flows<C: Store>(&self, conn: &mut C) -> Result<Vec<String>> {
        if let Some(flow) = self.flow {
            return Ok(flow.names().map(ToOwned::to_owned).collect());
        }
        let record = RecordRef { flow: "flow", id: None };
        let lanes = read(conn, record, |conn| conn.lanes(None))?;
        let mut flows: Vec<_> = lanes.into_iter().map(|lane| lane.flow).collect();
        flows.dedup();
        Ok(flows)
    }

    /// Deletes those of one flow.
    fn run_one<C: Dialect>(
        &self,
        conn: &mut C,
        flow: &str,
        kept: &mut u64,
        told: &mut impl FnMut(&[i64]),
    ) -> Result<()> {
        let mut after = (BEFORE_ALL.to_owned(), 0);
        loop {
            let found = self.find(conn, flow, &after)?;
            let ids: Vec<_> = found.iter().map(|(_, id)| *id).collect();
            let Some(last) = found.into_iter().last() else { return Ok(()) };
            after = last;
            match self.delete(conn, flow, &ids) {
                Err(error) if is_of_a_record::<C>(&error) => {
                    self.delete_each(conn, flow, &ids, kept, told)?;
                }
                gone => told(&gone?),
            }
        }
    }

    /// The next records: when each was completed, and its id.
    fn find<C: Dialect>(
        &self,
        conn: &mut C,
        flow: &str,
        (time, id): &(String, i64),
    ) -> Result<Vec<(String, i64)>> {
        let binds = [
            Bind::Text(flow),
            Bind::Text(time),
            Bind::Int(micros(self.age)),
            Bind::Text(time),
            Bind::Int(*id),
            Bind::Int(self.batch.into()),
        ];
        let record = RecordRef { flow: self.flow.map_or("flow", |flow| flow.name), id: None };
        let rows = read(conn, record, |conn| conn.counts::<FinishedSince>(&binds))?;
        Ok(rows.into_iter().map(|row| (row.label, row.number)).collect())
    }

    /// One by one, each in a transaction of its own: `kept` counts those that had to stay.
    fn delete_each<C: Dialect>(
        &self,
        conn: &mut C,
        flow: &str,
        ids: &[i64],
        kept: &mut u64,
        told: &mut impl FnMut(&[i64]),
    ) -> Result<()> {
        for id in ids {
            match self.delete(conn, flow, &[*id]) {
                Err(error) if is_of_a_record::<C>(&error) => {
                    *kept += 1;
                    if *kept <= MOST_TOLD {
                        let error = chain(&error);
                        tracing::warn!(flow, id, error, "a record could not be purged");
                    }
                }
                gone => told(&gone?),
            }
        }
        Ok(())
    }

    /// The ids of those that are deleted.
    fn delete<C: Dialect>(&self, conn: &mut C, flow: &str, ids: &[i64]) -> Result<Vec<i64>> {
        let deleted = transaction::run_bounded(conn, &mut |conn| {
            let mut deleted = Vec::new();
            for id in ids {
                match self.delete_one(conn, flow, *id).explain(conn)? {
                    Gone::Deleted => deleted.push(*id),
                    Gone::NotFree => {}
                    Gone::Skipped => return Err(Error::skipped(format_args!("{flow} #{id}"))),
                }
            }
            let mut taken = Taken::default();
            taken.add(flow.to_owned(), PURGE, deleted.len());
            scope::note_taken(conn, taken);
            Ok(deleted)
        });
        let deleted: Vec<_> = deleted?;
        tracing::debug!(flow, deleted = deleted.len(), "purged");
        Ok(deleted)
    }

    fn delete_one<C: Dialect>(
        &self,
        conn: &mut C,
        flow: &str,
        id: i64,
    ) -> diesel::QueryResult<Gone> {
        let rows = conn.counts::<LockFinished>(&[Bind::Int(id), Bind::Int(micros(self.age))])?;
        // an id may have been given again
        let Some(row) = rows.first().filter(|row| row.label == flow) else {
            return Ok(Gone::NotFree);
        };
        let deleted = destroy(conn, id, row.number, true)?;
        Ok(if deleted { Gone::Deleted } else { Gone::Skipped })
    }
}

/// The fate of a record that was to be purged.
enum Gone {
    Deleted,
    /// Others have locked it, or it is not completed any more.
    NotFree,
    /// The database did not delete it, and gave no error.
    Skipped,
}
