//! A commit that got no answer, and how to find out.

use std::fmt;

use crate::dialect::Dialect;
use crate::dialect::sql::{FindFlow, LockFlow, TokenOf};
use crate::dialect::statement::Bind;
use crate::error::{RecordRef, Result};
use crate::failure::explain;
use crate::store::AsStore;
use crate::transaction::transaction;

/// A row that a transaction wrote, by which its outcome can be told later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) record: RecordRef,
    pub(crate) id: i64,
    pub(crate) seq: i64,
    pub(crate) token: String,
    pub(crate) destroyed: bool,
}

/// A commit whose answer was lost: in [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown).
#[derive(Debug)]
pub struct Unconfirmed {
    mark: Option<Mark>,
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

    /// Whether the transaction was committed, asked on a *new* connection.
    ///
    /// Waits for the row's lock, so that a server which is still committing is waited for.
    /// `None` if the transaction moved no record, so that nothing tells.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database) or a conflict: ask again.
    pub fn resolve<S: AsStore>(&self, conn: &mut S) -> Result<Option<bool>> {
        let Some(mark) = &self.mark else { return Ok(None) };
        transaction(conn, |conn| {
            mark.is_there(conn, true).map_err(|error| explain(conn, Some(mark.record), error))
        })
        .map(Some)
    }
}

impl Mark {
    /// Whether the row is there as this transaction wrote it.
    pub(crate) fn is_there<C: Dialect>(
        &self,
        conn: &mut C,
        lock: bool,
    ) -> diesel::QueryResult<bool> {
        let binds = [Bind::Int(self.id), Bind::Text(self.record.flow)];
        let flows =
            if lock { conn.flows::<LockFlow>(&binds)? } else { conn.flows::<FindFlow>(&binds)? };
        if self.destroyed {
            return Ok(flows.is_empty());
        }
        let rows = conn.counts::<TokenOf>(&[Bind::Int(self.id), Bind::Int(self.seq)])?;
        Ok(rows.first().is_some_and(|row| row.label == self.token))
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
