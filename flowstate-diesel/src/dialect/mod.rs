//! What each database does its own way, and nothing else.
//!
//! [`Dialect`] is sealed: it is public only so that [`Store`](crate::Store) can name it.

#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod begin;
pub(crate) mod by_hand;
pub(crate) mod change;
pub(crate) mod checkpoint;
pub(crate) mod connection;
mod fallback;
pub(crate) mod fault;
#[cfg(feature = "mysql")]
mod mysql;
pub(crate) mod operate;
mod poll;
#[cfg(feature = "postgres")]
mod postgres;
pub(crate) mod rows;
pub(crate) mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
pub(crate) mod write_queue;

use diesel::QueryResult;
use diesel::connection::{
    Connection, TransactionDepthChange, TransactionManager, TransactionManagerStatus,
};

use self::change::{Change, Claims, NewFlow};
use self::checkpoint::LogLength;
use self::fault::{Failure, Fault};
use self::write_queue::QueueAccess;
pub(crate) use poll::{PollState, PollStates};
use rows::{ArtefactRow, ClaimedRow, CountRow, FlowRow, HistoryRow, InsertedRow, Stamp};
use sql::statement::{Bind, Statement};

/// One migration: its version and the SQL that makes it.
#[derive(Debug)]
pub struct Migration {
    pub version: &'static str,
    pub up: &'static str,
}

/// A connection to a database whose ways are known here.
///
/// The methods that take a [`Statement`] run it, cached, and differ only in the rows they give.
pub trait Dialect: Connection {
    /// The name of the database, for messages.
    const DATABASE: &'static str;
    /// In order of their versions.
    const MIGRATIONS: &'static [Migration];
    /// Whether [`Dialect::write`], [`Dialect::insert_at_once`] and [`Dialect::claim`] are one
    /// statement each, which can be a transaction of its own.
    const ONE_STATEMENT: bool = false;
    /// Whether a statement that makes a table commits the transaction in which it stands.
    const CREATING_COMMITS: bool = false;

    fn run<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize>;
    fn flows<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<FlowRow>>;
    fn history<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<HistoryRow>>;
    fn artefacts<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<ArtefactRow>>;
    fn counts<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>>;

    /// After a query that failed: lets go of prepared statements that cannot be run again.
    fn forget_statements(&mut self) {}

    /// Opens a transaction that may write. None is open.
    fn begin(&mut self) -> QueryResult<()>;

    /// The same for one in which code of others runs, which may go on after a failure:
    /// [`Dialect::commit_for_others`] ends it, or a rollback and [`Dialect::close`].
    fn begin_for_others(&mut self) -> QueryResult<()> {
        self.begin()
    }

    /// The same for one that only reads.
    fn begin_reading(&mut self) -> QueryResult<()> {
        self.begin()
    }

    /// After the rollback of a transaction in which code of others ran.
    fn close(&mut self) {}

    /// Commits a transaction, or rolls it back if it cannot be committed.
    fn commit(&mut self) -> QueryResult<()> {
        Self::TransactionManager::commit_transaction(self)
    }

    /// The same for one in which code of others ran.
    fn commit_for_others(&mut self) -> QueryResult<()> {
        self.commit()
    }

    /// Rolls back the innermost transaction or savepoint.
    fn roll_back(&mut self) -> QueryResult<()> {
        Self::TransactionManager::rollback_transaction(self)
    }

    /// Asks something of which a decision follows: the server has to know then what any other of its
    /// cluster had committed before.
    fn caught_up<R>(&mut self, ask: impl FnOnce(&mut Self) -> R) -> R {
        ask(self)
    }

    /// Where the writers of this process queue, if the database does not have them queue itself.
    fn write_queue(&mut self) -> QueryResult<Option<QueueAccess>> {
        Ok(None)
    }

    /// Copies what is committed from a log to where it belongs, as far as nobody is in the way.
    /// Returns how long the log is; `None` if there is none, or it is not to be copied.
    fn checkpoint(&mut self) -> QueryResult<Option<LogLength>> {
        Ok(None)
    }

    /// Whether a transaction is open of which Diesel does not know, where BEGIN does not fail in one.
    fn is_in_transaction(&mut self) -> QueryResult<bool> {
        Ok(false)
    }

    /// Before a transaction is joined that others opened: fails if the database has ended it and
    /// they have gone on.
    fn join(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// A transaction that others opened met a conflict. If the database has ended it, lets nothing
    /// that follows in it be committed.
    fn abandon(&mut self) {}

    /// At the beginning of a transaction in which code of others runs and nobody sees which of its
    /// statements fail: leaves what [`Dialect::find_beginning`] finds.
    fn mark_beginning(&mut self) -> QueryResult<()> {
        Ok(())
    }

    /// Fails if the database has ended the transaction that was marked, and another one is open.
    fn find_beginning(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// In a transaction of its own: sees to it that what follows waits for locks of others no longer
    /// than about a second, where the database has no bound of its own.
    fn bound_waits(&mut self) -> QueryResult<()> {
        Ok(())
    }

    /// The last statement before COMMIT: fails if the database would turn it into a rollback.
    fn before_commit(&mut self) -> QueryResult<()>;

    /// Moves the row from `change.before` to `change.after()`, and writes its history and
    /// artefacts. `None` if the row is no longer at `change.before.seq`.
    fn write(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        let Some(stamp) = self.advance(change)? else { return Ok(None) };
        fallback::insert(self, change)?;
        Ok(Some(stamp))
    }

    /// [`Dialect::write`] without the history and the artefacts.
    fn advance(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>>;

    /// Inserts a record with the first row of its history. `None` if its key is taken.
    fn insert(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let Some(row) = self.insert_flow(flow)? else { return Ok(None) };
        fallback::insert_first(self, row.id, flow)?;
        Ok(Some(row))
    }

    /// [`Dialect::insert`] without the history.
    fn insert_flow(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>>;

    /// [`Dialect::insert`] in a transaction of its own, so that [`Dialect::was_created`] can tell
    /// later whether it was committed.
    fn insert_at_once(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        self.insert(flow)
    }

    /// Inserts a record with the props of each of `all`, and what else `flow` says; none has a key.
    fn insert_many(&mut self, flow: &NewFlow<'_>, all: &[String]) -> QueryResult<Vec<InsertedRow>> {
        fallback::insert_each(self, flow, all)
    }

    /// Whether [`Dialect::insert_at_once`] inserted a record under this token at most `age`
    /// microseconds ago. Waits for a server that is still at it.
    fn was_created(&mut self, _token: &str, _age: i64) -> QueryResult<bool> {
        Ok(false)
    }

    /// Waits for the end of a transaction that has inserted this id, where locking reads do not.
    fn await_insert(&mut self, _id: i64) -> QueryResult<()> {
        Ok(())
    }

    /// Takes a batch of claims, the oldest first.
    fn claim(&mut self, claims: &Claims<'_>) -> QueryResult<Vec<ClaimedRow>>;

    /// Polls: which of the [states](PollStates) have a record whose time has come, in one
    /// statement. Their labels, and for how many milliseconds the longest overdue has waited.
    fn poll(&mut self, states: PollStates<'_>) -> QueryResult<Vec<CountRow>>;

    /// Extends claims of a worker, in one statement. `leases` is a JSON array of
    /// `[id, seq, microseconds]`. Returns how many were extended: what is no longer held is left
    /// alone, and what somebody has locked is passed over, so that nobody's lease waits for it.
    /// While it is locked no reaper takes it either.
    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize>;

    /// Why the server is not fit for use, if it is not.
    fn refusal(&mut self) -> QueryResult<Option<String>> {
        Ok(None)
    }

    /// Whether there is a table of versions, where unqualified names are looked for.
    fn has_versions(&mut self) -> QueryResult<bool>;

    /// Keeps other migrations out, in the transaction that is open, and makes sure that the table
    /// of versions can be read: only if it is missing is it made.
    fn lock_migrations(&mut self) -> Result<(), Failure>;

    /// Lets others in again, where the end of the transaction does not.
    fn unlock_migrations(&mut self) -> QueryResult<()> {
        Ok(())
    }

    /// What the failure means.
    fn classify(error: &diesel::result::Error) -> Fault;

    /// Makes Diesel refuse every transaction on this connection, and a pool discard it.
    fn give_up(&mut self) {
        Self::TransactionManager::transaction_manager_status_mut(self).set_in_error();
    }

    /// How many transactions and savepoints are open.
    fn depth(&mut self) -> QueryResult<u32> {
        let status = Self::TransactionManager::transaction_manager_status_mut(self);
        Ok(status.transaction_depth()?.map_or(0, std::num::NonZeroU32::get))
    }

    /// Has Diesel believe that at least so many are open: one that is gone cannot be committed then.
    fn set_depth(&mut self, depth: u32) {
        let status = Self::TransactionManager::transaction_manager_status_mut(self);
        if let TransactionManagerStatus::Valid(status) = status {
            let open = status.transaction_depth().map_or(0, std::num::NonZeroU32::get);
            for _ in open..depth {
                // fails only if there were fewer than none
                status
                    .change_transaction_depth(TransactionDepthChange::IncreaseDepth)
                    .unwrap_or_default();
            }
        }
    }
}

/// What a query gave; one that failed is not run again as it is.
pub(crate) fn or_forget<C: Dialect, R>(conn: &mut C, rows: QueryResult<R>) -> QueryResult<R> {
    if rows.is_err() {
        conn.forget_statements();
    }
    rows
}

/// The methods of [`Dialect`] that run statements: the same for every connection, but Diesel's
/// bounds can only be met for a concrete one.
macro_rules! runs_statements {
    () => {
        fn run<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<usize> {
            RunQueryDsl::execute(Bound::<S>::new(binds), self)
        }

        fn flows<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<FlowRow>> {
            let rows = RunQueryDsl::load(Bound::<S, FlowColumns>::new(binds), self);
            $crate::dialect::or_forget(self, rows)
        }

        fn history<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<HistoryRow>> {
            let rows = RunQueryDsl::load(Bound::<S, HistoryColumns>::new(binds), self);
            $crate::dialect::or_forget(self, rows)
        }

        fn artefacts<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<ArtefactRow>> {
            let rows = RunQueryDsl::load(Bound::<S, ArtefactColumns>::new(binds), self);
            $crate::dialect::or_forget(self, rows)
        }

        fn counts<S: Statement>(&mut self, binds: &[Bind<'_>]) -> QueryResult<Vec<CountRow>> {
            let rows = RunQueryDsl::load(Bound::<S, CountColumns>::new(binds), self);
            $crate::dialect::or_forget(self, rows)
        }
    };
}
use runs_statements;
