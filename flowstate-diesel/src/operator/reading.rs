//! Reading, which other transactions can be in the way of, too.

use super::error::{Error, Result};
use crate::dialect::Dialect;
use crate::transaction::retry::Tries;

/// Asks; and again, outside a transaction, if another one was in the way.
pub(super) fn reading<C: Dialect, R>(
    conn: &mut C,
    mut ask: impl FnMut(&mut C) -> Result<R>,
) -> Result<R> {
    let mut tries = Tries::start();
    loop {
        let answer = ask(conn);
        let is_conflict = matches!(&answer, Err(Error::Failed(error)) if error.is_conflict());
        let is_outside = conn.depth().is_ok_and(|depth| depth == 0);
        if !(is_conflict && is_outside && tries.again()) {
            return answer;
        }
    }
}
