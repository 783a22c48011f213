//! Checks that the tables hold what the library promises.

use std::fmt;

use serde::Serialize;

use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::rows::CountRow;
use crate::dialect::sql::statement::{Statement, statements};
use crate::error::Result;
use crate::transaction;
use crate::transaction::explain::Explain as _;

statements! {
    Flows = "SELECT 'flows', COUNT(*) FROM flowstate_flows";
    Gaps =
        "SELECT f.flow, f.id FROM flowstate_flows f \
         LEFT JOIN flowstate_transitions t ON t.flow_id = f.id \
         GROUP BY f.id, f.flow, f.seq \
         HAVING COUNT(t.seq) <> f.seq + 1 OR MIN(t.seq) <> 0 OR MAX(t.seq) <> f.seq \
         ORDER BY f.id LIMIT 1000";
    States =
        "SELECT f.flow, f.id FROM flowstate_flows f \
         JOIN flowstate_transitions t ON t.flow_id = f.id AND t.seq = f.seq \
         WHERE t.to_state <> f.state ORDER BY f.id LIMIT 1000";
    Beginnings =
        "SELECT f.flow, f.id FROM flowstate_flows f \
         JOIN flowstate_transitions t ON t.flow_id = f.id \
         WHERE (t.seq = 0 AND t.from_state IS NOT NULL) OR (t.seq > 0 AND t.from_state IS NULL) \
         ORDER BY f.id LIMIT 1000";
    OrphanHistory =
        "SELECT 'no flow', t.flow_id FROM flowstate_transitions t \
         LEFT JOIN flowstate_flows f ON f.id = t.flow_id WHERE f.id IS NULL \
         GROUP BY t.flow_id ORDER BY t.flow_id LIMIT 1000";
    OrphanArtefacts =
        "SELECT 'no flow', a.flow_id FROM flowstate_artefacts a \
         LEFT JOIN flowstate_transitions t ON t.flow_id = a.flow_id AND t.seq = a.seq \
         WHERE t.flow_id IS NULL GROUP BY a.flow_id ORDER BY a.flow_id LIMIT 1000";
    Completed =
        "SELECT f.flow, f.id FROM flowstate_flows f \
         WHERE f.completed_at IS NOT NULL \
         AND (f.due_at IS NOT NULL OR f.leased_until IS NOT NULL OR f.deadline_at IS NOT NULL) \
         ORDER BY f.id LIMIT 1000";
    Leases =
        "SELECT f.flow, f.id FROM flowstate_flows f \
         WHERE (f.leased_until IS NULL) <> (f.leased_by IS NULL) ORDER BY f.id LIMIT 1000";
}

/// Looks through all flows for what must never be: gaps in a history, a state that is not where
/// the history ends, rows without their record.
///
/// Reads every row of the three tables in one transaction, which locks nothing; on a large database
/// run it at a quiet hour or on a replica. (On SQLite with a rollback journal any reader keeps a
/// writer from committing.) At most 1,000 findings of each kind are returned.
///
/// ```
/// # use flowstate_diesel::prelude::*;
/// # fn main() -> flowstate_diesel::Result<()> {
/// # let conn = &mut SqliteConnection::establish(":memory:").expect("memory");
/// # flowstate_diesel::migrate(conn)?;
/// let audit = flowstate_diesel::audit(conn)?;
/// assert!(audit.is_clean(), "{audit}"); // each finding with its record, in a line
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Database`](crate::Error::Database): the check itself could not run.
pub fn audit<S: AsStore>(conn: &mut S) -> Result<Audit> {
    transaction::run_reading(conn.as_store(), &mut |conn| look(conn).explain(conn))
}

fn look<C: Dialect>(conn: &mut C) -> diesel::QueryResult<Audit> {
    let flows = conn.counts::<Flows>(&[])?.first().map_or(0, |row| row.number);
    let mut audit = Audit { flows, findings: Vec::new() };
    audit.check::<C, Gaps>(conn, Problem::HistoryGap)?;
    audit.check::<C, States>(conn, Problem::StateDiffersFromHistory)?;
    audit.check::<C, Beginnings>(conn, Problem::WrongBeginning)?;
    audit.check::<C, OrphanHistory>(conn, Problem::OrphanHistory)?;
    audit.check::<C, OrphanArtefacts>(conn, Problem::OrphanArtefact)?;
    audit.check::<C, Completed>(conn, Problem::CompletedButPending)?;
    audit.check::<C, Leases>(conn, Problem::HalfALease)?;
    Ok(audit)
}

/// What [`audit`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Audit {
    /// How many records there are.
    pub flows: i64,
    /// The records with which something is wrong.
    pub findings: Vec<Finding>,
}

/// A record with which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The stored name of its flow.
    pub flow: String,
    /// Its id.
    pub id: i64,
    /// The kind of problem.
    pub problem: Problem,
}

/// What can be wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// The history does not run from 0 to the record's `seq`, one row each.
    HistoryGap,
    /// The newest history row leads to another state than the record is in.
    StateDiffersFromHistory,
    /// A first history row with a former state, or a later one without.
    WrongBeginning,
    /// History rows whose record is gone.
    OrphanHistory,
    /// Artefacts without the history row that wrote them.
    OrphanArtefact,
    /// The record is completed, and yet due, leased or timed.
    CompletedButPending,
    /// A lease without its holder, or a holder without a lease.
    HalfALease,
}

impl Audit {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn check<C: Dialect, S: Statement>(
        &mut self,
        conn: &mut C,
        problem: Problem,
    ) -> diesel::QueryResult<()> {
        let finding = |row: CountRow| Finding { flow: row.label, id: row.number, problem };
        self.findings.extend(conn.counts::<S>(&[])?.into_iter().map(finding));
        Ok(())
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, {} findings", self.flows, self.findings.len())?;
        self.findings
            .iter()
            .try_for_each(|found| write!(f, "\n{} #{}: {}", found.flow, found.id, found.problem))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HistoryGap => "the history does not run from 0 to the record's seq",
            Self::StateDiffersFromHistory => "the history ends in another state",
            Self::WrongBeginning => "the history begins wrongly",
            Self::OrphanHistory => "history rows without a record",
            Self::OrphanArtefact => "artefacts without the transition that wrote them",
            Self::CompletedButPending => "completed, and yet due, leased or timed",
            Self::HalfALease => "a lease without a holder, or a holder without a lease",
        })
    }
}
