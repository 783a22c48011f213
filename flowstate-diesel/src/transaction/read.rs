//! Reading, which other transactions can be in the way of too: a serializable one of PostgreSQL,
//! or SQLite while its log is recovered.

use diesel::QueryResult;

use super::explain::{conflict, explain};
use super::retry::Tries;
use super::scope::Doom;
use crate::dialect::Dialect;
use crate::error::{RecordRef, Result};

/// Asks; and again, outside a transaction, if another one was in the way.
pub(crate) fn read<C: Dialect, R>(
    conn: &mut C,
    record: impl Into<Option<RecordRef>>,
    mut ask: impl FnMut(&mut C) -> QueryResult<R>,
) -> Result<R> {
    let (record, mut tries) = (record.into(), Tries::start());
    loop {
        let error = match ask(conn) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let is_outside = conn.depth().is_ok_and(|depth| depth == 0);
        let reason = C::classify(&error).conflict().filter(|_| is_outside);
        let Some(reason) = reason else { return Err(explain(conn, record, error)) };
        if !tries.again() {
            let doom = Doom { record, reason, source: error };
            return Err(conflict(doom, false, tries.made, tries.waited()));
        }
    }
}
