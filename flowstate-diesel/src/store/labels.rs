//! Labels for records that were there before their flow had any.

use flowstate::{Flow, State as _};

use super::flow_store::stored_names;
use crate::dialect::connection::AsStore;
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{ListFlows, LockFlow};
use crate::dialect::sql::statement::Bind;
use crate::dialect::{Dialect, Statements as _};
use crate::error::{Error, RecordRef, Result};
use crate::transaction;
use crate::transaction::explain::explain;
use crate::transaction::read::read;
use crate::transition::apply::names_json;
use crate::transition::{decode, labels};

/// How many records are labelled in one transaction.
const BATCH: i64 = 100;

/// Gives every record of a flow the labels that its props have now: once, after
/// `#[flow(label(…))]` was added or changed. Returns how many records were gone through.
///
/// It goes in batches, each in a transaction of its own and under the rows' locks, so that it can run
/// beside everything else, be interrupted, and be run again. A record that this code cannot read
/// keeps what it has: that is told to `tracing`.
///
/// # Errors
/// [`Error::Database`](crate::Error::Database), [`Error::Conflict`](crate::Error::Conflict): the
/// batches before are done. [`Error::Unstorable`](crate::Error::Unstorable): a label is too long.
pub fn backfill_labels<F: Flow>(conn: &mut impl AsStore) -> Result<u64> {
    let conn = conn.as_store();
    let names = names_json(F::State::ALL.iter().copied().flat_map(stored_names));
    let (mut done, mut after) = (0, i64::MIN);
    loop {
        let binds = [Bind::Text(F::NAME), Bind::Text(&names), Bind::Int(after), Bind::Int(BATCH)];
        let page = read(conn, RecordRef::new::<F>(), |conn| conn.flows::<ListFlows>(&binds))?;
        let Some(last) = page.last() else { return Ok(done) };
        after = last.id;
        done += transaction::run(conn, &mut |conn| label_page::<F, _>(conn, &page))?;
    }
}

fn label_page<F: Flow, C: Dialect>(conn: &mut C, page: &[FlowRow]) -> Result<u64> {
    let mut done = 0;
    for seen in page {
        let record = RecordRef::of::<F>(seen.id);
        let rows = conn.flows::<LockFlow>(&[Bind::Int(seen.id), Bind::Text(F::NAME)]);
        let rows = rows.map_err(|error| explain(conn, Some(record), error))?;
        // it may be gone by now
        let Some(row) = rows.first() else { continue };
        match decode::props::<F>(&row.props, record) {
            Ok(props) => {
                labels::replace(conn, record, row.id, &labels::of(&props, record)?)?;
                done += 1;
            }
            Err(error @ Error::Decode { .. }) => {
                tracing::warn!(flow = F::NAME, id = row.id, %error, "a record has got no labels");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
