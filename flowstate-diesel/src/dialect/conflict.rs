//! Which failures of each database mean that another transaction was in the way.
//!
//! Diesel sorts few of them (`SerializationFailure` of PostgreSQL); for the rest only the text of
//! the message is left.

use diesel::result::{DatabaseErrorKind, Error};

use crate::error::ConflictReason;

/// SQLite: `SQLITE_BUSY` with its extended codes, and `SQLITE_LOCKED` of a shared cache, by the
/// texts of `sqlite3_errstr`.
#[cfg(feature = "sqlite")]
pub(super) fn sqlite(error: &Error) -> Option<ConflictReason> {
    let message = message(error)?;
    let busy = ["database is locked", "database table is locked", "database schema is locked"];
    busy.iter().any(|text| message.starts_with(text)).then_some(ConflictReason::Busy)
}

/// PostgreSQL, by the English texts of its messages and, where Diesel tells them, by their codes:
/// 40001, 40P01 (deadlock), 55P03 (lock not available).
#[cfg(feature = "postgres")]
pub(super) fn postgres(error: &Error) -> Option<ConflictReason> {
    if let Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) = error {
        return Some(ConflictReason::Serialization);
    }
    let message = message(error)?;
    if message.starts_with("deadlock detected") {
        Some(ConflictReason::Deadlock)
    } else if message.starts_with("canceling statement due to lock timeout")
        || message.starts_with("could not obtain lock on")
    {
        Some(ConflictReason::LockTimeout)
    } else {
        message.starts_with("could not serialize access").then_some(ConflictReason::Serialization)
    }
}

/// MySQL and MariaDB, by the texts of 1213, 1205, 1020 and 3572 (Diesel hides the numbers). 1020 is
/// MariaDB's alone. 3572 (NOWAIT) is MySQL's, known from its documentation; MariaDB says 1205.
#[cfg(feature = "mysql")]
pub(super) fn mysql(error: &Error) -> Option<ConflictReason> {
    let message = message(error)?;
    if message.starts_with("Deadlock found when trying to get lock")
        || message.starts_with("Deadlock: ")
    {
        Some(ConflictReason::Deadlock)
    } else if message.starts_with("Lock wait timeout exceeded")
        || message.starts_with("Statement aborted because lock(s) could not be acquired")
    {
        Some(ConflictReason::LockTimeout)
    } else {
        message
            .starts_with("Record has changed since last read")
            .then_some(ConflictReason::Serialization)
    }
}

/// The message of a failure that the database reported itself, the first of several.
fn message(error: &Error) -> Option<&str> {
    match error {
        Error::DatabaseError(
            DatabaseErrorKind::Unknown | DatabaseErrorKind::SerializationFailure,
            info,
        ) => Some(info.message()),
        Error::RollbackErrorOnCommit { commit_error, .. } => message(commit_error),
        _ => None,
    }
}
