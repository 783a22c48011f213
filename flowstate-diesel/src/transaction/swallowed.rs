//! Failures that a closure has swallowed, after which nothing may follow in its transaction.
//!
//! PostgreSQL refuses every further statement itself, with an error that says nothing of the first
//! one. SQLite may have ended the transaction, and what follows would commit by itself.

use super::explain::Explain as _;
use super::instrument;
use super::instrument::Seen;
use super::scope;
use super::scope::Position;
use crate::dialect::Dialect;
use crate::error::{Error, Result};

/// Refuses to go on after code of others if a statement in it failed.
pub(crate) fn refuse<C: Dialect>(conn: &mut C) -> Result<()> {
    if matches!(scope::position(conn), Ok(Position::Ended)) {
        return Err(ended(conn));
    }
    if !instrument::is_watching(conn) {
        return conn.join().explain(conn);
    }
    match unanswered(conn) {
        Some(failure) => Err(error(&failure)),
        None => Ok(()),
    }
}

/// A failure after which nothing of the open transaction may be committed.
pub(crate) fn unanswered<C: Dialect>(conn: &mut C) -> Option<Seen> {
    let depth = scope::answered_for(conn)?;
    instrument::failure(conn, depth)
}

/// Why nothing more can be done: the transaction is gone, and the closure that was given it goes on.
pub(crate) fn ended<C: Dialect>(conn: &mut C) -> Error {
    match instrument::failure(conn, 0) {
        Some(failure) => error(&failure),
        None => Error::UnbalancedTransaction,
    }
}

/// The failure of a statement, as the error of whoever goes on after it.
pub(super) fn error(failure: &Seen) -> Error {
    Error::FailureIgnored { record: None, statement_error: failure.source.to_string() }
}
