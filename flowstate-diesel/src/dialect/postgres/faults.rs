//! What PostgreSQL's failures mean: by their codes where Diesel tells them, else by the English
//! texts of the messages <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use diesel::result::{DatabaseErrorKind, Error};

use crate::dialect::fault::{Fault, message};
use crate::error::ConflictReason;

pub(super) fn classify(error: &Error) -> Fault {
    match error {
        Error::RollbackErrorOnCommit { commit_error, .. } => return classify(commit_error),
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => {
            return Fault::conflict_with(ConflictReason::Serialization);
        }
        Error::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _,
        ) => return Fault::Lost,
        Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => return Fault::ReadOnly,
        _ => {}
    }
    // a server that answers has not committed
    let Some(message) = message(error) else { return Fault::Refused };
    let begins = |text: &str| message.starts_with(text);
    if begins("deadlock detected") {
        Fault::conflict_with(ConflictReason::Deadlock)
    } else if begins("canceling statement due to lock timeout")
        || begins("could not obtain lock on")
    {
        Fault::conflict_with(ConflictReason::LockTimeout)
    } else if begins("canceling statement due to statement timeout") {
        Fault::conflict_with(ConflictReason::StatementTimeout)
    } else if begins("could not serialize access") {
        Fault::conflict_with(ConflictReason::Serialization)
    } else if begins("current transaction is aborted") {
        Fault::Aborted
    } else if begins("relation \"flowstate_") {
        Fault::MissingTable
    } else if message.ends_with("No space left on device") {
        Fault::Full
    } else {
        Fault::Refused
    }
}
