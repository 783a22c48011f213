//! Time that passes at once, for tests of flows.
//!
#![doc = include_str!("../../docs/testing.md")]

use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::sql::shared::{DueNow, ExpireNow, OverdueNow};
use crate::dialect::sql::statement::Statement;
use crate::error::Result;
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::notify;

/// Makes every record due now that would be later: delays and the pauses of retries are over.
/// Records that nobody takes by themselves stay so. Returns how many.
///
/// # Errors
/// [`Error::Database`](crate::Error::Database).
pub fn make_everything_due(conn: &mut impl AsStore) -> Result<usize> {
    set::<DueNow, _>(conn.as_store())
}

/// Lets every lease run out now, as if the workers that hold them had died. Returns how many.
///
/// # Errors
/// [`Error::Database`](crate::Error::Database).
pub fn expire_leases(conn: &mut impl AsStore) -> Result<usize> {
    set::<ExpireNow, _>(conn.as_store())
}

/// Lets the time of every timed transition be over now. Returns how many.
///
/// # Errors
/// [`Error::Database`](crate::Error::Database).
pub fn pass_deadlines(conn: &mut impl AsStore) -> Result<usize> {
    set::<OverdueNow, _>(conn.as_store())
}

fn set<S: Statement, C: Dialect>(conn: &mut C) -> Result<usize> {
    let changed = transaction::run(conn, &mut |conn| conn.run::<S>(&[]).explain(conn));
    notify::everything();
    changed
}
