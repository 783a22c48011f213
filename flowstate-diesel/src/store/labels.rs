//! Labels for records that were there before their flow had any.

use flowstate::{Flow, State as _};

use crate::dialect::connection::AsStore;
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{ListFlows, LockFlow};
use crate::dialect::sql::statement::Bind;
use crate::dialect::{Dialect, Statements as _};
use crate::error::{RecordRef, Result};
use crate::text::chain::chain;
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::read::read;
use crate::transition::artefacts::names_json;
use crate::transition::decode::stored_names;
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
    let mut done = 0;
    for flow in F::DEFINITION.names() {
        let mut after = i64::MIN;
        loop {
            let binds = [Bind::Text(flow), Bind::Text(&names), Bind::Int(after), Bind::Int(BATCH)];
            let page = read(conn, RecordRef::new::<F>(), |conn| conn.flows::<ListFlows>(&binds))?;
            let Some(last) = page.last() else { break };
            after = last.id;
            done += transaction::run(conn, &mut |conn| label_page::<F, _>(conn, flow, &page))?;
        }
    }
    Ok(done)
}

/// Labels those of a page. `flow`: the name under which they are stored.
fn label_page<F: Flow, C: Dialect>(
    conn: &mut C,
    flow: &'static str,
    page: &[FlowRow],
) -> Result<u64> {
    let mut done = 0;
    for seen in page {
        let record = RecordRef { flow, id: Some(seen.id) };
        let rows = conn
            .flows::<LockFlow>(&[Bind::Int(seen.id), Bind::Text(flow)])
            .explain_for(conn, record)?;
        // it may be gone by now
        let Some(row) = rows.first() else { continue };
        match decode::props::<F>(&row.props, row.props_version, record) {
            Ok(props) => {
                labels::replace(conn, record, row.id, &labels::of(&props, record)?)?;
                done += 1;
            }
            Err(error) if error.is_unreadable() => {
                let (id, error) = (row.id, chain(&error));
                tracing::warn!(flow, id, error, "a record has got no labels");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
