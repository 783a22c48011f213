//! BEGIN and COMMIT as prepared statements.
//!
//! Diesel sends its own as text, which SQLite parses each time, and round which MySQL is told to
//! expect several statements and then not to: three round trips instead of one.

use diesel::QueryResult;
use diesel::connection::{TransactionDepthChange, TransactionManager, TransactionManagerStatus};

use super::sql::statement::{Statement, statements};
use super::transactions::Transactions;
use crate::text::chain::chain;

statements! {
    Commit = "COMMIT";
}

/// Opens a transaction. None is open.
pub(super) fn begin<C: Transactions, Begin: Statement>(conn: &mut C) -> QueryResult<()> {
    conn.run::<Begin>(&[])?;
    begun(conn)
}

/// A statement has opened a transaction.
pub(super) fn begun<C: Transactions>(conn: &mut C) -> QueryResult<()> {
    change_depth(conn, TransactionDepthChange::IncreaseDepth)
}

/// A statement was to commit the transaction: as after one of Diesel's own it is rolled back if it
/// could not be committed.
pub(super) fn ended<C: Transactions>(
    conn: &mut C,
    committed: QueryResult<usize>,
) -> QueryResult<()> {
    match committed {
        Ok(_) => change_depth(conn, TransactionDepthChange::DecreaseDepth),
        Err(error) => {
            if let Err(error) = conn.roll_back() {
                // the database has done so already, or the connection is lost and Diesel knows
                tracing::debug!(error = chain(&error), "rollback failed");
            }
            Err(error)
        }
    }
}

fn change_depth<C: Transactions>(conn: &mut C, change: TransactionDepthChange) -> QueryResult<()> {
    match C::TransactionManager::transaction_manager_status_mut(conn) {
        TransactionManagerStatus::Valid(status) => status.change_transaction_depth(change),
        TransactionManagerStatus::InError => Err(diesel::result::Error::BrokenTransactionManager),
    }
}
