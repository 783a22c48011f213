//! What a failure means: decided once, by the dialect of the database that told it.

use std::fmt;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};

use super::Dialect;
use crate::error::ConflictReason;

/// What a failed statement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another transaction was in the way. `ends`: the database has ended the whole transaction,
    /// savepoints included.
    Conflict { reason: ConflictReason, ends: bool },
    /// The transaction is lost by an earlier failure, and nothing more can be done in it.
    Aborted,
    /// Another record has the key, and nothing was written. If the record is new, nothing is wrong
    /// either; else it was completed, and now it is not to be.
    KeyTaken,
    /// BEGIN was refused, since a transaction is open of which Diesel does not know.
    BegunByHand,
    /// A table of this crate is missing.
    MissingTable,
    /// The server answers questions and takes no writes: a standby, or a former primary.
    ReadOnly,
    /// There is no room left on the disk.
    Full,
    /// The connection is lost, or the file can no longer be read: what was under way may have
    /// happened.
    Lost,
    /// The database has refused the statement, and would refuse it again.
    Refused,
    /// The database has said something that is not known here.
    Unexplained,
}

impl Fault {
    /// A conflict after which the transaction is still open.
    pub(crate) const fn conflict_with(reason: ConflictReason) -> Self {
        Self::Conflict { reason, ends: false }
    }

    /// The kind of conflict, if another transaction was in the way.
    pub(crate) fn conflict(self) -> Option<ConflictReason> {
        match self {
            Self::Conflict { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Whether no savepoint undoes it: the whole transaction is gone.
    pub(crate) fn ends_transaction(self) -> bool {
        matches!(self, Self::Conflict { ends: true, .. })
    }

    /// Whether a COMMIT that failed so may have happened all the same.
    pub(crate) fn leaves_commit_in_doubt(self) -> bool {
        matches!(self, Self::Lost | Self::Unexplained)
    }
}

/// Why a call of a dialect failed.
#[derive(Debug)]
pub enum Failure {
    /// A statement failed.
    Said(Error),
    /// No statement failed: this crate noticed it by itself, in these words.
    Noticed(Fault, &'static str),
}

impl Failure {
    /// The meaning of the failure on the database of `C`.
    pub(crate) fn fault<C: Dialect>(&self) -> Fault {
        match self {
            Self::Said(error) => C::classify(error),
            Self::Noticed(fault, _) => *fault,
        }
    }

    /// As Diesel's error, which the public errors have as their source.
    pub(crate) fn into_source(self) -> Error {
        match self {
            Self::Said(error) => error,
            Self::Noticed(_, text) => {
                Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(text.to_owned()))
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(error) => error.fmt(f),
            Self::Noticed(_, text) => f.write_str(text),
        }
    }
}

/// The message of a failure that the database reported itself, the first of several.
pub(crate) fn message(error: &Error) -> Option<&str> {
    match error {
        Error::DatabaseError(_, info) => Some(info.message()),
        Error::RollbackErrorOnCommit { commit_error, .. } => message(commit_error),
        _ => None,
    }
}

/// A copy of what the database said, with its kind and all that it told: Diesel's errors cannot be
/// cloned, and one that dooms a transaction is told to each call that follows in it.
pub(crate) fn copy(error: &Error) -> Error {
    match error {
        Error::DatabaseError(kind, info) => {
            Error::DatabaseError(*kind, Box::new(Told::of(&**info)))
        }
        Error::RollbackErrorOnCommit { rollback_error, commit_error } => {
            Error::RollbackErrorOnCommit {
                rollback_error: Box::new(copy(rollback_error)),
                commit_error: Box::new(copy(commit_error)),
            }
        }
        Error::BrokenTransactionManager => Error::BrokenTransactionManager,
        Error::NotInTransaction => Error::NotInTransaction,
        // nothing else comes from a database
        error => Error::QueryBuilderError(error.to_string().into()),
    }
}

/// What a database told with an error.
struct Told {
    message: String,
    details: Option<String>,
    hint: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
    position: Option<i32>,
}

impl Told {
    fn of(info: &(dyn DatabaseErrorInformation + Send + Sync)) -> Self {
        Self {
            message: info.message().to_owned(),
            details: info.details().map(str::to_owned),
            hint: info.hint().map(str::to_owned),
            table: info.table_name().map(str::to_owned),
            column: info.column_name().map(str::to_owned),
            constraint: info.constraint_name().map(str::to_owned),
            position: info.statement_position(),
        }
    }
}

impl DatabaseErrorInformation for Told {
    fn message(&self) -> &str {
        &self.message
    }

    fn details(&self) -> Option<&str> {
        self.details.as_deref()
    }

    fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn table_name(&self) -> Option<&str> {
        self.table.as_deref()
    }

    fn column_name(&self) -> Option<&str> {
        self.column.as_deref()
    }

    fn constraint_name(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    fn statement_position(&self) -> Option<i32> {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_tells_what_the_original_tells() {
        let told = Told {
            message: "could not serialize access".to_owned(),
            details: Some("read/write dependencies".to_owned()),
            hint: Some("retry".to_owned()),
            table: Some("flowstate_flows".to_owned()),
            column: Some("seq".to_owned()),
            constraint: Some("unique".to_owned()),
            position: Some(7),
        };
        let error = Error::DatabaseError(DatabaseErrorKind::SerializationFailure, Box::new(told));
        let Error::DatabaseError(kind, info) = copy(&error) else { panic!("of another kind") };
        assert!(matches!(kind, DatabaseErrorKind::SerializationFailure));
        assert_eq!(info.message(), "could not serialize access");
        assert_eq!(info.details(), Some("read/write dependencies"));
        assert_eq!(info.hint(), Some("retry"));
        assert_eq!(info.table_name(), Some("flowstate_flows"));
        assert_eq!(info.column_name(), Some("seq"));
        assert_eq!(info.constraint_name(), Some("unique"));
        assert_eq!(info.statement_position(), Some(7));
    }
}
