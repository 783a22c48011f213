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
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, info)
            if info.constraint_name() == Some("flowstate_flows_single") =>
        {
            return Fault::KeyTaken;
        }
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
    } else if begins("relation \"flowstate_") && message.ends_with("does not exist") {
        Fault::MissingTable
    } else if message.ends_with("No space left on device")
        || message.ends_with("Disk quota exceeded")
        || begins("could not extend file") && message.contains(": wrote only")
    {
        Fault::Full
    } else {
        Fault::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_room_is_told_from_what_is_refused() {
        for (text, fault) in [
            ("could not extend file \"base/5/16384\": No space left on device", Fault::Full),
            (
                "could not extend file \"base/5/16384\": wrote only 4096 of 8192 bytes at block 7",
                Fault::Full,
            ),
            ("could not write to file \"base/pgsql_tmp/1\": Disk quota exceeded", Fault::Full),
            ("could not extend file \"base/5/16384\": Input/output error", Fault::Refused),
            ("relation \"flowstate_flows\" does not exist", Fault::MissingTable),
            ("relation \"flowstate_flows\" already exists", Fault::Refused),
        ] {
            let info = Box::new(text.to_owned());
            let error = Error::DatabaseError(DatabaseErrorKind::Unknown, info);
            assert_eq!(classify(&error), fault, "{text}");
        }
    }
}
