//! Whether the tables are those that this version knows.

use serde::Serialize;

use super::error::Result;
use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::sql::operator::AppliedVersions;
use crate::transaction::explain::Explain as _;

/// Which migrations of flowstate have run, against those that this version knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Schema {
    /// The versions that have run, in order.
    pub applied: Vec<String>,
    /// Those that have not: the tables are older than this version.
    pub pending: Vec<String>,
    /// Those that this version does not know: the tables are newer.
    pub unknown: Vec<String>,
}

/// Reads which migrations have run.
///
/// # Errors
/// [`Error::Failed`](super::Error::Failed), with
/// [`Error::NotMigrated`](crate::Error::NotMigrated) if there are no tables at all.
pub fn schema(conn: &mut impl AsStore) -> Result<Schema> {
    versions(conn.as_store())
}

fn versions<C: Dialect>(conn: &mut C) -> Result<Schema> {
    let rows = conn.counts::<AppliedVersions>(&[]).explain(conn)?;
    let mut applied: Vec<_> = rows.into_iter().map(|row| row.label).collect();
    applied.sort();
    let known: Vec<_> = C::MIGRATIONS.iter().map(|migration| migration.version).collect();
    let pending = known.iter().filter(|known| !applied.iter().any(|version| version == *known));
    let unknown = applied.iter().filter(|version| !known.contains(&version.as_str()));
    Ok(Schema {
        pending: pending.map(|version| (*version).to_owned()).collect(),
        unknown: unknown.cloned().collect(),
        applied,
    })
}
