//! Diesel's errors as ours.

use std::time::Duration;

use diesel::result::DatabaseErrorKind;

use super::instrument;
use super::scope;
use super::scope::Doom;
use crate::dialect::Dialect;
use crate::error::{ConflictReason, Error, RecordRef};

/// What a failed statement of ours means. A conflict dooms the transaction that is open.
pub(crate) fn explain<C: Dialect>(
    conn: &mut C,
    record: Option<RecordRef>,
    error: diesel::result::Error,
) -> Error {
    if let Some(reason) = C::conflict(&error) {
        let whole_transaction = conn.depth().is_ok_and(|depth| depth > 0);
        scope::set_doom(conn, Doom { record, reason, message: error.to_string() });
        if whole_transaction && scope::doom(conn).is_none() {
            // nothing of ours is open that would end it
            conn.abandon();
        }
        Error::Conflict {
            record,
            reason,
            whole_transaction,
            tries: 1,
            waited: Duration::ZERO,
            source: error,
        }
    } else if C::is_aborted(&error) {
        Error::FailureIgnored { record, statement_error: instrument::first_failure(conn, &error) }
    } else if C::is_missing_table(&error) {
        Error::NotMigrated { record, source: error }
    } else {
        Error::Database { record, source: error }
    }
}

/// If an error of a caller's closure comes from a conflict, the transaction is doomed.
pub(crate) fn note_conflict<C: Dialect>(
    conn: &C,
    record: RecordRef,
    error: &(dyn std::error::Error + 'static),
) {
    let mut next = Some(error);
    while let Some(error) = next {
        let found = match error.downcast_ref::<diesel::result::Error>() {
            Some(error) => C::conflict(error).map(|reason| (reason, error.to_string())),
            None => conflict_of_ours(error),
        };
        if let Some((reason, message)) = found {
            return scope::set_doom(conn, Doom { record: Some(record), reason, message });
        }
        next = error.source();
    }
}

fn conflict_of_ours(error: &(dyn std::error::Error + 'static)) -> Option<(ConflictReason, String)> {
    match error.downcast_ref::<Error>() {
        Some(Error::Conflict { reason, source, .. }) => Some((*reason, source.to_string())),
        _ => None,
    }
}

/// A conflict as an error, from what was remembered of it.
pub(crate) fn conflict(doom: Doom, whole_transaction: bool, tries: u32, waited: Duration) -> Error {
    let source =
        diesel::result::Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(doom.message));
    Error::Conflict {
        record: doom.record,
        reason: doom.reason,
        whole_transaction,
        tries,
        waited,
        source,
    }
}
