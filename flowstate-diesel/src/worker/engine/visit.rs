//! Calls to the database on a pooled connection.

use std::time::Duration;

use diesel::r2d2::{ManageConnection, Pool, PooledConnection};

use super::watch::Watch;
use crate::dialect::Transactions as _;
use crate::dialect::connection::Store;
use crate::dialect::fault::Fault;
use crate::error::{Error, Result};

/// How long to wait for the pool in one go.
const POOL_PATIENCE: Duration = Duration::from_secs(5);
const TOO_LATE: &str = "the database answered too late: another thread does this work by now";

/// Calls to the database, one after the other, on one connection as long as nothing fails: the pool
/// tests it once, which far from the server takes as long as a statement.
pub(super) struct Visit<'c, M: ManageConnection> {
    pool: &'c Pool<M>,
    watch: &'c Watch,
    patience: Duration,
    conn: Option<PooledConnection<M>>,
}

impl<'c, M: ManageConnection<Connection: Store>> Visit<'c, M> {
    pub(super) fn new(pool: &'c Pool<M>, watch: &'c Watch) -> Self {
        Self { pool, watch, patience: POOL_PATIENCE, conn: None }
    }

    /// How long it waits for the pool.
    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Runs `work`. Of a call that came back after another thread was given its work, nothing is
    /// known.
    pub(super) fn call<R>(
        &mut self,
        work: impl FnOnce(&mut M::Connection) -> Result<R>,
    ) -> Result<R> {
        let call = self.watch.begin();
        let conn = self.conn.take().map_or_else(|| self.pool.get_timeout(self.patience), Ok);
        let mut conn = conn.map_err(|error| Error::NoConnection { source: Box::new(error) })?;
        call.goes_on();
        let done = work(&mut conn);
        drop(call);
        if self.watch.has_given_up() {
            conn.give_up();
            return Err(Error::NoConnection { source: TOO_LATE.into() });
        }
        match &done {
            Ok(_) => self.conn = Some(conn),
            // another may do what this one cannot: whatever the pool tests, nobody shall be given
            // this one again
            Err(error)
                if matches!(fault::<M::Connection>(error), Some(Fault::ReadOnly | Fault::Lost)) =>
            {
                conn.give_up();
            }
            Err(_) => {}
        }
        done
    }

    /// Gives the connection back: others may want it before the next call.
    pub(super) fn pause(&mut self) {
        self.conn = None;
    }
}

/// What the database's failure means, if it is one.
pub(super) fn fault<C: Store>(error: &Error) -> Option<Fault> {
    match error {
        Error::Database { source, .. } => Some(C::classify(source)),
        Error::OutcomeUnknown(unconfirmed) => Some(C::classify(unconfirmed.cause())),
        _ => None,
    }
}
