//! Writes: records that are created, moved and claimed.

use diesel::QueryResult;

use super::change::{Change, Claims, NewFlow};
use super::rows::{ClaimedRow, InsertedRow, Stamp};
use super::transactions::Transactions;

/// Writes records.
pub trait Writes: Transactions {
    /// Whether [`Writes::write`], [`Writes::insert_at_once`] and [`Writes::claim`] are one statement
    /// each, which can be a transaction of its own.
    const ONE_STATEMENT: bool = false;

    /// Moves the row from `change.before` to `change.after()`, and writes its history and
    /// artefacts. `None` if the row is no longer at `change.before.seq`.
    fn write(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>>;

    /// Inserts a record with the first row of its history. `None` if its key is taken.
    fn insert(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>>;

    /// [`Writes::insert`] in a transaction of its own, so that
    /// [`Reads::was_created`](super::reads::Reads::was_created) can tell later whether it was
    /// committed.
    fn insert_at_once(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        self.insert(flow)
    }

    /// Inserts a record with the props of each of `all`, and what else `flow` says; none has a key.
    fn insert_many(&mut self, flow: &NewFlow<'_>, all: &[String]) -> QueryResult<Vec<InsertedRow>>;

    /// Waits for the end of a transaction that has inserted this id, where locking reads do not.
    fn await_insert(&mut self, _id: i64) -> QueryResult<()> {
        Ok(())
    }

    /// Takes a batch of claims, the oldest first.
    fn claim(&mut self, claims: &Claims<'_>) -> QueryResult<Vec<ClaimedRow>>;

    /// Ends several claims, each by its change. Returns the ids of those that were ended: what is held
    /// no longer is left alone, and what somebody has locked is passed over. None destroys its record.
    fn settle(&mut self, changes: &[Change<'_>]) -> QueryResult<Vec<i64>>;

    /// Extends claims of a worker, in the transaction that is open. `leases` is a JSON array of
    /// `[id, seq, microseconds]`. Returns how many were extended: what is no longer held is left
    /// alone, and what somebody has locked is passed over, so that nobody's lease waits for it.
    /// While it is locked no reaper takes it either.
    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize>;
}
