//! Records that wait, or are claimed, in a state which this program does not know: they are left to
//! another version of it, and reported.

use std::time::Duration;

use diesel::r2d2::ManageConnection;

use super::core::Core;
use super::known::Known;
use crate::dialect::Statements as _;
use crate::dialect::connection::Store;
use crate::dialect::sql::shared::{ClaimedStrangers, Strangers};
use crate::dialect::sql::statement::Bind;
use crate::error::Result;
use crate::transaction::explain::explain;

/// The pause between two reports: the question goes through all records that wait.
pub(super) const REPORT_EVERY: Duration = Duration::from_hours(1);

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
