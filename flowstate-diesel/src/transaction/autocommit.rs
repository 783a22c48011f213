//! A request that is one statement, and with it a transaction of its own.

use diesel::QueryResult;

use super::explain::explain;
use super::instrument;
use super::retry::Tries;
use super::scope;
use super::scope::Position;
use crate::dialect::Dialect;
use crate::dialect::fault::{Fault, copy};
use crate::error::unconfirmed::{Mark, Unconfirmed};
use crate::error::{Error, Result};
use crate::metrics;

/// Whether one statement can do a whole request here: the database can, and no transaction is open.
pub(crate) fn possible<C: Dialect>(conn: &mut C) -> bool {
    if !C::ONE_STATEMENT || !matches!(scope::position(conn), Ok(Position::Outside)) {
        return false;
    }
    instrument::watch(conn);
    // the transaction that does it instead refuses that
    instrument::obstacle(conn).is_none()
}

/// Like [`run`], for a statement whose waits are bounded: a lock that it has waited for is not waited
/// for again.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn run_bounded<C: Dialect, T>(
    conn: &mut C,
    mark: &Mark,
    statement: impl FnOnce(&mut C) -> QueryResult<Option<T>>,
) -> Result<Option<T>> {
    let (mut waited, tries) = (None, Tries::start());
    let written = run(conn, mark, |conn| {
        statement(conn).inspect_err(|error| {
            let reason = C::classify(error).conflict();
            waited = reason.filter(|reason| tries.have_waited(*reason)).map(|_| copy(error));
        })
    });
    waited.map_or(written, |error| Err(explain(conn, Some(mark.record), error)))
}

/// Runs the statement that writes `mark`. `None` if it was not to be: nothing is written then, and
/// a transaction that is tried again has to do it.
pub(crate) fn run<C: Dialect, T>(
    conn: &mut C,
    mark: &Mark,
    statement: impl FnOnce(&mut C) -> QueryResult<Option<T>>,
) -> Result<Option<T>> {
    match statement(conn) {
        Ok(written) => Ok(written),
        Err(error) => match C::classify(&error) {
            // whoever is in the way is waited for in that transaction
            Fault::Conflict { reason, .. } => {
                metrics::conflict(reason);
                Ok(None)
            }
            fault if fault.leaves_commit_in_doubt() => {
                Err(Error::OutcomeUnknown(Box::new(Unconfirmed::new(Some(mark.clone()), error))))
            }
            _ => Err(explain(conn, Some(mark.record), error)),
        },
    }
}
