//! The mark by which a database is told from its copies.

use std::sync::Arc;

use crate::dialect::connection::AsStore;
use crate::dialect::sql::shared::{ForgetIdentity, Identity, NewIdentity};
use crate::dialect::sql::statement::Bind;
use crate::dialect::{Dialect, Statements as _};
use crate::error::{Error, Result};
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::instrument;
use crate::transaction::token::token;

/// What begins the idempotency keys of this database. It is drawn by `migrate`, and asked of a
/// connection once.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn identity<C: Dialect>(conn: &mut C) -> Result<Arc<str>> {
    if let Some(identity) = instrument::identity(conn) {
        return Ok(identity);
    }
    let rows = conn.counts::<Identity>(&[]).explain(conn)?;
    let identity: Arc<str> = match rows.into_iter().next() {
        Some(row) => row.label.into(),
        None => return Err(Error::NoIdentity),
    };
    instrument::keep_identity(conn, Arc::clone(&identity));
    Ok(identity)
}

/// Gives this database an identity of its own, for a copy that is used beside the original: the
/// idempotency keys of its steps no longer are those of the original, with which it may share an
/// account at some other system. Programs learn of it when they connect anew.
///
/// A backup that is restored in place of the original keeps the identity: what was requested before
/// is then recognized.
///
/// # Errors
/// [`Error::NotMigrated`] without tables; a conflict; [`Error::Database`].
pub fn new_identity(conn: &mut impl AsStore) -> Result<()> {
    transaction::run(conn.as_store(), &mut |conn| {
        let identity = token()?;
        let bind = [Bind::Text(&identity)];
        conn.run::<ForgetIdentity>(&bind)
            .and_then(|_| conn.run::<NewIdentity>(&bind))
            .map(drop)
            .explain(conn)
    })
}
