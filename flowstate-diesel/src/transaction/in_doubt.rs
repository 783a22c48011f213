//! A commit that got no answer, and how to find out.

use std::fmt;
use std::time::Instant;

use super::explain::explain;
use super::read::read;
use super::transaction;
use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::sql::shared::{FindFlow, LockFlow, TokenOf};
use crate::dialect::sql::statement::Bind;
use crate::error::{RecordRef, Result};

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

/// How long before it was written by our clock a row may be dated by the database's.
const LEEWAY: i64 = 600 * 1_000_000;

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
    /// A server that is still committing is waited for, and so is a node of Galera that has not applied
    /// yet what another has committed. `None` if nothing tells: the transaction
    /// moved no record, or the record was destroyed since. A record that is gone counts as destroyed
    /// by a transaction that destroyed it, and as never created by one that created it.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database) or a conflict: ask again.
    pub fn resolve<S: AsStore>(&self, conn: &mut S) -> Result<Option<bool>> {
        let Some(mark) = &self.mark else { return Ok(None) };
        conn.as_store().caught_up(|conn| {
            let failed = |conn: &mut S::Store, error| explain(conn, Some(mark.record), error);
            if mark.record.id.is_none() {
                // each in a transaction of its own: what is committed meanwhile must be seen
                return read(conn, mark.record, |conn| mark.was_created(conn)).map(Some);
            }
            transaction(conn, |conn| mark.is_there(conn, true).map_err(|error| failed(conn, error)))
        })
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

    /// Whether the row is there as this transaction wrote it. `None` if the record is gone, and this
    /// transaction neither destroyed nor created it.
    pub(crate) fn is_there<C: Dialect>(
        &self,
        conn: &mut C,
        lock: bool,
    ) -> diesel::QueryResult<Option<bool>> {
        let Some(id) = self.record.id else { return Ok(None) };
        let binds = [Bind::Int(id), Bind::Text(self.record.flow)];
        let mut flows =
            if lock { conn.flows::<LockFlow>(&binds)? } else { conn.flows::<FindFlow>(&binds)? };
        if lock && flows.is_empty() {
            conn.await_insert(id)?;
            flows = conn.flows::<LockFlow>(&binds)?;
        }
        if self.destroyed {
            return Ok(Some(flows.is_empty()));
        }
        if flows.is_empty() {
            return Ok(self.created.then_some(false));
        }
        let rows = conn.counts::<TokenOf>(&[Bind::Int(id), Bind::Int(self.seq)])?;
        Ok(Some(rows.first().is_some_and(|row| row.label == self.token)))
    }

    fn was_created<C: Dialect>(&self, conn: &mut C) -> diesel::QueryResult<bool> {
        let age = i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX - LEEWAY);
        conn.was_created(&self.token, age.saturating_add(LEEWAY))
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
