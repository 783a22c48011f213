//! A commit that got no answer, as it is remembered.

use std::fmt;
use std::time::Instant;

use super::record_ref::RecordRef;

/// A row that a transaction wrote, by which its outcome can be told later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Without an id if the record was created and the answer with its id was lost.
    pub(crate) record: RecordRef,
    pub(crate) seq: i64,
    pub(crate) token: String,
    pub(crate) destroyed: bool,
    /// The transaction created the record, too.
    pub(crate) created: bool,
    /// Not after it was written.
    pub(crate) since: Instant,
}

/// A commit whose answer was lost: in [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown).
#[derive(Debug)]
pub struct Unconfirmed {
    pub(crate) mark: Option<Mark>,
    source: diesel::result::Error,
}

impl Unconfirmed {
    pub(crate) fn new(mark: Option<Mark>, source: diesel::result::Error) -> Self {
        Self { mark, source }
    }

    /// The record that was moved, or the last of several. `None` if the transaction moved none.
    #[must_use]
    pub fn record(&self) -> Option<RecordRef> {
        self.mark.as_ref().map(|mark| mark.record)
    }

    /// What the database or the connection said.
    #[must_use]
    pub fn cause(&self) -> &diesel::result::Error {
        &self.source
    }
}

impl Mark {
    /// Of a record that was created under this token.
    pub(crate) fn created(record: RecordRef, token: String, since: Instant) -> Self {
        Self { record, seq: 0, token, destroyed: false, created: true, since }
    }

    /// Of a record that was deleted.
    pub(crate) fn destroyed(record: RecordRef) -> Self {
        let (seq, token, since) = (0, String::new(), Instant::now());
        Self { record, seq, token, destroyed: true, created: false, since }
    }
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mark {
            Some(mark) => write!(f, "{}", mark.record),
            None => f.write_str("transaction"),
        }
    }
}
