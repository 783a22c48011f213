//! What the failures of MySQL and MariaDB mean, by their English texts: Diesel hides the numbers
//! <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>.

use diesel::result::{DatabaseErrorKind, Error};

use crate::dialect::fault::{Fault, message};
use crate::error::ConflictReason;

/// The last two of the deadlocks are what certification says when a transaction is committed that met
/// another one elsewhere: 3101 in Group Replication, 1180 in Galera's and Group Replication's COMMIT.
/// 1020 is MariaDB's alone. 3572 (NOWAIT) is MySQL's; MariaDB says 1205.
pub(super) fn classify(error: &Error) -> Fault {
    match error {
        Error::RollbackErrorOnCommit { commit_error, .. } => return classify(commit_error),
        // the names of our own indexes are the same in every language
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, info)
            if ["flowstate_flows_key'", "flowstate_flows_single'"]
                .iter()
                .any(|index| info.message().contains(index)) =>
        {
            return Fault::KeyTaken;
        }
        // the first was not even sent
        Error::BrokenTransactionManager
        | Error::DatabaseError(
            DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation,
            _,
        ) => return Fault::Refused,
        _ => {}
    }
    let Some(message) = message(error) else { return Fault::Unexplained };
    let begins = |text: &str| message.starts_with(text);
    if begins("Deadlock found when trying to get lock")
        || begins("Plugin instructed the server to rollback the current transaction")
        || begins("Got error 149 ") && message.ends_with("during COMMIT")
    {
        Fault::Conflict { reason: ConflictReason::Deadlock, ends: true }
    } else if begins("Record has changed since last read") {
        Fault::Conflict { reason: ConflictReason::Serialization, ends: true }
    } else if begins("Lock wait timeout exceeded")
        || begins("Statement aborted because lock(s) could not be acquired")
    {
        Fault::conflict_with(ConflictReason::LockTimeout)
    } else if begins("Query execution was interrupted, maximum statement execution time exceeded")
        || begins("Query execution was interrupted (max_statement_time exceeded)")
    {
        Fault::conflict_with(ConflictReason::StatementTimeout)
    } else if begins("Table '")
        && message.contains(".flowstate_")
        && message.ends_with("doesn't exist")
    {
        Fault::MissingTable
    } else if message.contains("running with the --read-only option")
        || message.contains("running with the --super-read-only option")
        || begins("Cannot execute statement in a READ ONLY transaction")
    {
        Fault::ReadOnly
    } else if begins("The table '") && message.ends_with("is full")
        || begins("Disk full")
        || message.contains("No space left on device")
        || message.contains("Disk quota exceeded")
    {
        Fault::Full
    } else if message.ends_with("server has gone away")
        || begins("Lost connection to")
        || begins("Can't connect to")
        || message.contains("Connection was killed")
    {
        Fault::Lost
    } else {
        Fault::Unexplained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_room_is_full() {
        for text in [
            "The table 'flowstate_artefacts' is full",
            "Disk full (./binlog.000001); waiting for someone to free some space...",
            "Error writing file './log' (Errcode: 28 \"No space left on device\")",
            "Error writing file './log' (Errcode: 122 \"Disk quota exceeded\")",
        ] {
            let info = Box::new(text.to_owned());
            let error = Error::DatabaseError(DatabaseErrorKind::Unknown, info);
            assert_eq!(classify(&error), Fault::Full, "{text}");
        }
    }

    #[test]
    fn certification_and_time_outs_are_conflicts() {
        for (text, reason) in [
            (
                "Plugin instructed the server to rollback the current transaction.",
                ConflictReason::Deadlock,
            ),
            (
                "Got error 149 - 'Lock deadlock; Retry transaction' during COMMIT",
                ConflictReason::Deadlock,
            ),
            (
                "Query execution was interrupted, maximum statement execution time exceeded",
                ConflictReason::StatementTimeout,
            ),
            (
                "Query execution was interrupted (max_statement_time exceeded)",
                ConflictReason::StatementTimeout,
            ),
        ] {
            let info = Box::new(text.to_owned());
            let error = Error::DatabaseError(DatabaseErrorKind::Unknown, info);
            assert_eq!(classify(&error).conflict(), Some(reason), "{text}");
        }
    }
}
