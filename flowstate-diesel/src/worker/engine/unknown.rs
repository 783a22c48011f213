//! Records that wait, or are claimed, in a state which this program does not know: they are left to
//! another version of it, and reported.

use std::time::Duration;

use diesel::r2d2::ManageConnection;
use flowstate::{Definition, Flow, State as _};

use super::run::Core;
use crate::dialect::Statements as _;
use crate::dialect::connection::Store;
use crate::dialect::sql::shared::{ClaimedStrangers, Strangers};
use crate::dialect::sql::statement::Bind;
use crate::error::Result;
use crate::store::flow_store::stored_names;
use crate::transaction::explain::explain;
use crate::transition::apply::names_json;

/// The pause between two reports: the question goes through all records that wait.
pub(super) const REPORT_EVERY: Duration = Duration::from_hours(1);

/// A flow that this program knows, and its states.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) flow: &'static str,
    pub(crate) definition: &'static Definition,
    /// Their stored names, old ones too, as JSON.
    names: String,
}

impl Known {
    pub(crate) fn of<F: Flow>() -> Self {
        let names = F::State::ALL.iter().flat_map(|state| stored_names(*state));
        Self { flow: F::NAME, definition: F::DEFINITION, names: names_json(names) }
    }
}

impl<M: ManageConnection<Connection: Store>> Core<M> {
    pub(super) fn report_strangers(&self) -> Result<()> {
        for Known { flow, names, .. } in &self.known {
            let binds = [Bind::Text(flow), Bind::Text(names)];
            let [waiting, claimed] = self.with(|conn| {
                let found = conn
                    .counts::<Strangers>(&binds)
                    .and_then(|waiting| Ok([waiting, conn.counts::<ClaimedStrangers>(&binds)?]));
                found.map_err(|error| explain(conn, None, error))
            })?;
            for row in waiting {
                let (state, records) = (row.label, row.number);
                tracing::warn!(flow, state, records, "records wait in an unknown state");
            }
            for row in claimed {
                let (state, records) = (row.label, row.number);
                tracing::warn!(flow, state, records, "records are claimed in an unknown state");
            }
        }
        Ok(())
    }
}
