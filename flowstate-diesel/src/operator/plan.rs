//! Many records at once: first what would happen, then exactly that.

use serde::Serialize;

use super::act::{Moved, Target, Wish, act_in, origin};
use super::action::{Action, Move, decide};
use super::error::{Error, Refusal, Result};
use super::filter::Filter;
use super::reading::reading;
use super::registry::Registry;
use super::search::list;
use super::standing::Standing;
use crate::dialect::connection::AsStore;
use crate::transaction;
use crate::transaction::notify;

/// The most records of one plan.
pub const MAX_PLANNED: usize = 10_000;

/// How many records are moved in one transaction.
const BATCH: usize = 100;

/// What an action would do with the records that a filter finds: nothing is done until
/// [`Plan::run`], and then only with these, as far as they still stand where they were seen.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// What would be done.
    pub action: Action,
    /// The records that would move, and how.
    pub moves: Vec<Planned>,
    /// How many records would be refused as they stand.
    pub refused: usize,
    /// Why the first of them would be refused, with its id.
    pub first_refusal: Option<String>,
    /// Whether these are all: at most 10,000 records are planned at once.
    pub is_complete: bool,
}

/// A record that would move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Planned {
    /// The stored name of the flow.
    pub flow: String,
    /// The record, where it was seen.
    pub target: Target,
    /// The state in which it is.
    pub from: String,
    /// The state into which it would go.
    pub to: String,
    /// Whether that deletes it.
    pub destroys: bool,
}

/// What [`Plan::run`] has done.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The records that were moved.
    pub moved: Vec<Moved>,
    /// Those that were not: they had moved on by themselves, as a rule.
    pub refused: Vec<Error>,
}

/// Says what an action would do with the records that a filter finds. Writes nothing and locks
/// nothing.
///
/// # Errors
/// As [`list`].
pub fn plan(filter: &Filter, action: Action, conn: &mut impl AsStore) -> Result<Plan> {
    let registry = Registry::load(conn.as_store())?;
    let (moves, refused, first_refusal, is_complete) = (Vec::new(), 0, None, true);
    let mut plan = Plan { action, moves, refused, first_refusal, is_complete };
    let mut after = None;
    loop {
        let page = list(filter, after.as_ref(), 1_000, conn)?;
        for standing in &page.records {
            let origin = match plan.action {
                Action::Release { .. } => reading(conn.as_store(), |conn| origin(conn, standing))?,
                _ => None,
            };
            plan.add(standing, decide(standing, &plan.action, &registry, origin.as_deref()));
        }
        after = page.next;
        if after.is_none() {
            return Ok(plan);
        }
        if plan.moves.len() >= MAX_PLANNED {
            plan.is_complete = false;
            return Ok(plan);
        }
    }
}

impl Plan {
    fn add(&mut self, standing: &Standing, decided: Result<Move, Refusal>) {
        let (flow, id) = (standing.flow.clone(), standing.id);
        match decided {
            Ok(to) => self.moves.push(Planned {
                flow,
                target: Target { id, seq: Some(standing.seq) },
                from: standing.state.clone(),
                to: to.to,
                destroys: to.destroys,
            }),
            Err(refusal) => {
                self.refused += 1;
                let first = || Error::Refused { flow, id, refusal }.to_string();
                self.first_refusal.get_or_insert_with(first);
            }
        }
    }

    /// Does it, a hundred records in a transaction, and says after each how many have been seen to.
    ///
    /// A record that has moved since it was planned is refused, and the others go on.
    ///
    /// # Errors
    /// [`Error::Failed`]: the transactions before are committed. Plan it again and run that.
    pub fn run(
        &self,
        wish: &Wish,
        conn: &mut impl AsStore,
        mut progress: impl FnMut(usize),
    ) -> Result<Report> {
        let conn = conn.as_store();
        let registry = Registry::load(conn)?;
        let mut report = Report::default();
        for batch in self.moves.chunks(BATCH) {
            let done = transaction::run(conn, &mut |conn| {
                let mut done = Report::default();
                for planned in batch {
                    match act_in(conn, &self.action, planned.target, wish, &registry) {
                        Ok(moved) => done.moved.push(moved),
                        Err(failed @ Error::Failed(_)) => return Err(failed),
                        Err(refused) => done.refused.push(refused),
                    }
                }
                Ok(done)
            })?;
            report.moved.extend(done.moved);
            report.refused.extend(done.refused);
            progress(report.moved.len() + report.refused.len());
        }
        notify::everything();
        Ok(report)
    }
}
