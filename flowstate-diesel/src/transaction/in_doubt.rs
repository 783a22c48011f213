//! A commit that got no answer, and how to find out.

use super::explain::Explain as _;
use super::read::read;
use super::transaction;
use crate::dialect::connection::AsStore;
use crate::dialect::sql::shared::{FindFlow, LockFlow, TokenOf};
use crate::dialect::sql::statement::Bind;
use crate::dialect::{Dialect, Reads as _};
use crate::error::Result;
use crate::error::unconfirmed::{Mark, Unconfirmed};

/// How long before it was written by our clock a row may be dated by the database's.
const LEEWAY: i64 = 600 * 1_000_000;

impl Unconfirmed {
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
            if mark.record.id.is_none() {
                // each in a transaction of its own: what is committed meanwhile must be seen
                return read(conn, mark.record, |conn| mark.was_created(conn)).map(Some);
            }
            transaction(conn, |conn| mark.is_there(conn, true).explain_for(conn, mark.record))
        })
    }
}

impl Mark {
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
