//! How transactions begin, end and are found to be gone.

use std::num::NonZeroU32;

use diesel::QueryResult;
use diesel::connection::{TransactionDepthChange, TransactionManager, TransactionManagerStatus};

use super::fault::Failure;
use super::statements::Statements;
use super::waits::Waits;
use super::write_queue::QueueAccess;
use crate::error::Unfit;

/// What keeps this crate from writing in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A transaction is open of which Diesel does not know, where BEGIN does not fail in one.
    ByHand,
    /// What the session is set to would change what is stored.
    Unfit(Unfit),
}

/// Opens and ends transactions.
pub trait Transactions: Statements {
    /// Opens a transaction that may write. None is open. [`Transactions::commit`] ends it, or a
    /// rollback and [`Transactions::close`], with the same `waits`: then the session is as it was.
    fn begin(&mut self, waits: Waits) -> QueryResult<()>;

    /// Opens a transaction that only reads.
    fn begin_reading(&mut self) -> QueryResult<()> {
        self.begin(Waits::AsSet)
    }

    /// After the rollback of an outermost transaction.
    fn close(&mut self, _: Waits) {}

    /// Commits an outermost transaction, or rolls it back if it cannot be committed.
    fn commit(&mut self, _: Waits) -> QueryResult<()> {
        Self::TransactionManager::commit_transaction(self)
    }

    /// Rolls back the innermost transaction or savepoint.
    fn roll_back(&mut self) -> QueryResult<()> {
        Self::TransactionManager::rollback_transaction(self)
    }

    /// The last statement before COMMIT: fails if the database would turn it into a rollback.
    fn before_commit(&mut self) -> QueryResult<()>;

    /// Where the writers of this process queue, if the database does not have them queue itself.
    fn write_queue(&mut self) -> QueryResult<Option<QueueAccess>> {
        Ok(None)
    }

    /// Whether triggers fire at the changes of this crate, in the transaction that is open.
    fn has_triggers(&mut self) -> QueryResult<bool> {
        Ok(true)
    }

    /// What keeps this crate from writing in the session, outside the transactions of which Diesel
    /// knows.
    fn obstacle(&mut self) -> QueryResult<Option<Obstacle>> {
        Ok(None)
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
    /// statements fail: leaves what [`Transactions::find_beginning`] finds.
    fn mark_beginning(&mut self) -> QueryResult<()> {
        Ok(())
    }

    /// Fails if the database has ended the transaction that was marked, and another one is open.
    fn find_beginning(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Makes Diesel refuse every transaction on this connection, and a pool discard it.
    fn give_up(&mut self) {
        Self::TransactionManager::transaction_manager_status_mut(self).set_in_error();
    }

    /// How many transactions and savepoints are open.
    fn depth(&mut self) -> QueryResult<u32> {
        let status = Self::TransactionManager::transaction_manager_status_mut(self);
        Ok(status.transaction_depth()?.map_or(0, NonZeroU32::get))
    }

    /// Has Diesel believe that at least so many are open: one that is gone cannot be committed then.
    fn set_depth(&mut self, depth: u32) {
        let status = Self::TransactionManager::transaction_manager_status_mut(self);
        if let TransactionManagerStatus::Valid(status) = status {
            let open = status.transaction_depth().map_or(0, NonZeroU32::get);
            for _ in open..depth {
                // fails only if there were fewer than none
                status
                    .change_transaction_depth(TransactionDepthChange::IncreaseDepth)
                    .unwrap_or_default();
            }
        }
    }
}
