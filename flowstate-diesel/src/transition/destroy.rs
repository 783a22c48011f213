//! The end of a record that is deleted.

use crate::dialect::Dialect;
use crate::dialect::sql::shared::{DeleteArtefacts, DeleteFlow, DeleteHistory, DeleteLabels};
use crate::dialect::sql::statement::Bind;

/// Deletes a record with its history and artefacts, under its lock. `false` if it is not at `seq`, or
/// a trigger has skipped it: what was deleted of it has to be rolled back.
pub(crate) fn destroy<C: Dialect>(
    conn: &mut C,
    id: i64,
    seq: i64,
    has_labels: bool,
) -> diesel::QueryResult<bool> {
    // the children first: foreign keys may be enforced without the cascade, or not at all
    if has_labels {
        conn.run::<DeleteLabels>(&[Bind::Int(id)])?;
    }
    conn.run::<DeleteArtefacts>(&[Bind::Int(id)])?;
    conn.run::<DeleteHistory>(&[Bind::Int(id)])?;
    Ok(conn.run::<DeleteFlow>(&[Bind::Int(id), Bind::Int(seq)])? == 1)
}
