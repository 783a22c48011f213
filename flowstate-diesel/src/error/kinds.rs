//! What can be asked of an error, and of which record it is.

use std::fmt;

use super::{Error, RecordRef};

impl Error {
    /// Of a statement that must have changed or inserted a row, and did not.
    pub(crate) fn skipped(record: impl fmt::Display) -> Self {
        Self::WriteSkipped { record: record.to_string() }
    }

    /// Says of this record what was said of none: BEGIN and COMMIT know of no record.
    pub(crate) fn about(mut self, of: RecordRef) -> Self {
        if let Self::Conflict { record, .. }
        | Self::Database { record, .. }
        | Self::FailureIgnored { record, .. }
        | Self::KeyTaken { record, .. }
        | Self::TransactionByHand { record }
        | Self::NotMigrated { record, .. } = &mut self
        {
            record.get_or_insert(of);
        }
        self
    }

    /// Whether it tells of stored data that this program cannot read, and another one may.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(
            self,
            Self::Decode { .. }
                | Self::UnknownVersion { .. }
                | Self::MissingArtefact { .. }
                | Self::UnknownState { .. }
        )
    }

    /// Whether the same call can succeed if it is made again: another transaction was in the way.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whether it may be gone by itself after a while: a conflict, or a database that does not
    /// answer.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Database { .. } | Self::NoConnection { .. })
    }
}
