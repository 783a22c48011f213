//! Diesel's errors as ours.

use std::time::Duration;

use super::instrument;
use super::scope;
use super::scope::Doom;
use crate::dialect::Dialect;
use crate::dialect::fault::{Failure, Fault, copy};
use crate::error::{Error, RecordRef, Result};
use crate::text::chain::causes;

/// The failure of a statement of ours as an error of ours. A conflict dooms the transaction that is
/// open.
pub(crate) trait Explain<R> {
    /// The failure as an error that names no record.
    fn explain<C: Dialect>(self, conn: &mut C) -> Result<R>;

    /// The failure as an error that names the record.
    fn explain_for<C: Dialect>(self, conn: &mut C, record: RecordRef) -> Result<R>;
}

impl<R, F: Into<Failure>> Explain<R> for std::result::Result<R, F> {
    fn explain<C: Dialect>(self, conn: &mut C) -> Result<R> {
        self.map_err(|failure| explain(conn, None, failure))
    }

    fn explain_for<C: Dialect>(self, conn: &mut C, record: RecordRef) -> Result<R> {
        self.map_err(|failure| explain(conn, Some(record), failure))
    }
}

/// A failure of a statement of ours as an error of ours. A conflict dooms the transaction that is
/// open.
pub(crate) fn explain<C: Dialect>(
    conn: &mut C,
    record: Option<RecordRef>,
    failure: impl Into<Failure>,
) -> Error {
    let failure = failure.into();
    let fault = failure.fault::<C>();
    let source = failure.into_source();
    match fault {
        Fault::Conflict { reason, .. } => {
            let whole_transaction = conn.depth().is_ok_and(|depth| depth > 0);
            scope::set_doom(conn, Doom { record, reason, source: copy(&source) });
            if whole_transaction && scope::doom(conn).is_none() {
                // nothing of ours is open that would end it
                conn.abandon();
            }
            let (tries, waited) = (1, Duration::ZERO);
            Error::Conflict { record, reason, whole_transaction, tries, waited, source }
        }
        Fault::Aborted => {
            let statement_error = instrument::first_failure(conn, &source);
            Error::FailureIgnored { record, statement_error }
        }
        Fault::BegunByHand => Error::TransactionByHand { record },
        Fault::KeyTaken => Error::KeyTaken { record, source },
        Fault::MissingTable => Error::NotMigrated { record, source },
        _ => Error::Database { record, source },
    }
}

/// If an error of a caller's closure comes from a conflict, the transaction is doomed.
pub(crate) fn note_conflict<C: Dialect>(
    conn: &C,
    record: Option<RecordRef>,
    error: &(dyn std::error::Error + 'static),
) {
    for error in causes(error) {
        let found = match error.downcast_ref::<diesel::result::Error>() {
            Some(error) => C::classify(error).conflict().map(|reason| (reason, error)),
            None => conflict_of_ours(error),
        };
        if let Some((reason, source)) = found {
            return scope::set_doom(conn, Doom { record, reason, source: copy(source) });
        }
    }
}

fn conflict_of_ours<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<(crate::error::ConflictReason, &'e diesel::result::Error)> {
    match error.downcast_ref::<Error>() {
        Some(Error::Conflict { reason, source, .. }) => Some((*reason, source)),
        _ => None,
    }
}

/// A conflict as an error, from what was remembered of it.
pub(crate) fn conflict(doom: Doom, whole_transaction: bool, tries: u32, waited: Duration) -> Error {
    let Doom { record, reason, source } = doom;
    Error::Conflict { record, reason, whole_transaction, tries, waited, source }
}
