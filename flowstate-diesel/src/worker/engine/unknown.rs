//! What other versions of the program have left: records in a state which this one does not know, or
//! under a claim that nobody fails over, are left to them, and reported; those in a state which is an end
//! here are ended.

use std::time::Duration;

use diesel::QueryResult;
use diesel::r2d2::ManageConnection;

use super::core::Core;
use super::known::Known;
use crate::dialect::Statements as _;
use crate::dialect::connection::Store;
use crate::dialect::sql::shared::{ClaimedStrangers, ForsakenClaims, Strangers};
use crate::dialect::sql::statement::Bind;
use crate::error::Result;
use crate::operator;
use crate::operator::completed::end_completed;
use crate::text::chain::chain;
use crate::text::time::micros;
use crate::transaction::explain::Explain as _;

/// The pause between two reports: the question goes through all records that wait.
pub(super) const REPORT_EVERY: Duration = Duration::from_hours(1);
/// By then a worker that serves the step would have failed a claim over, also after an outage.
const FORSAKEN_AFTER: Duration = Duration::from_mins(10);

impl<M: ManageConnection<Connection: Store>> Core<M> {
    pub(super) fn report_strangers(&self) -> Result<()> {
        for Known { flow, names, .. } in &self.known {
            let [flow_bind, names] = [Bind::Text(flow), Bind::Text(names)];
            let since = Bind::Int(micros(FORSAKEN_AFTER));
            let [waiting, claimed, forsaken] = self.with(|conn| {
                let mut ask = || -> QueryResult<_> {
                    Ok([
                        conn.counts::<Strangers>(&[flow_bind, names])?,
                        conn.counts::<ClaimedStrangers>(&[flow_bind, names])?,
                        conn.counts::<ForsakenClaims>(&[flow_bind, since, names])?,
                    ])
                };
                ask().explain(conn)
            })?;
            for row in waiting {
                let (state, records) = (row.label, row.number);
                tracing::warn!(flow, state, records, "records wait in an unknown state");
            }
            for row in claimed {
                let (state, records) = (row.label, row.number);
                tracing::warn!(flow, state, records, "records are claimed in an unknown state");
            }
            for row in forsaken {
                let (state, records) = (row.label, row.number);
                tracing::warn!(flow, state, records, "nobody fails claims over");
            }
        }
        Ok(())
    }

    /// Says again how many records of each step wait for a program that can read them.
    pub(super) fn report_left_alone(&self) {
        let counts = self.shared().left_alone.by_step();
        for (step, records) in counts {
            let step = self.runners[step].step();
            let (flow, step) = (step.flow, step.name);
            tracing::warn!(flow, step, records, "records wait that this program cannot read");
        }
    }

    /// Ends what another version has brought into a state that is completed in this one.
    pub(super) fn end_completed(&self) -> Result<()> {
        for Known { flow, definition, .. } in &self.known {
            let ended =
                self.with(|conn| Ok(end_completed(conn, (flow, definition), &self.worker)))?;
            match ended {
                Ok(0) => {}
                Ok(records) => {
                    tracing::info!(flow, records, "records are at an end in this version");
                }
                Err(operator::Error::Failed(error)) => return Err(error),
                Err(error) => {
                    let error = chain(&error);
                    tracing::debug!(flow, error, "completed states could not be looked for");
                }
            }
        }
        Ok(())
    }
}
