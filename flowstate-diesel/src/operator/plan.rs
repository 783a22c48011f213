//! Many records at once: first what would happen, then exactly that.

use serde::Serialize;

use super::act::{Moved, Target, Wish, act_in, look};
use super::action::{Action, Move};
use super::error::{Error, Refusal, Result};
use super::filter::Filter;
use super::lane::Cursor;
use super::reading::reading;
use super::registry::Registry;
use super::search::list;
use super::standing::Standing;
use crate::dialect::connection::{AsStore, Store};
use crate::transaction;
use crate::transaction::notify;
use crate::transaction::parts::{each_part, is_of_a_record};

/// The most records of one plan.
pub const MAX_PLANNED: usize = 10_000;

/// How many records are read at once.
const PAGE: usize = 1_000;

/// How many records are moved in one transaction.
const BATCH: usize = 100;

/// What an action would do with the records that a filter finds: nothing is done until
/// [`Plan::run`], and then only with these, as far as they still stand where they were seen.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The action that would be taken with each record.
    pub action: Action,
    /// The records that would move, and how.
    pub moves: Vec<Planned>,
    /// How many records would be refused as they stand.
    pub refused: usize,
    /// Why the first of them would be refused, with its id.
    pub first_refusal: Option<String>,
    /// Where [`plan_after`] goes on: at most 10,000 records are planned at once. `None` if these are
    /// all.
    pub next: Option<Cursor>,
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

/// The result of [`Plan::run`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The records that were moved.
    pub moved: Vec<Moved>,
    /// Those that were not: they had moved on by themselves, as a rule; or the database refused it, or
    /// somebody had locked them ([`Error::NotDone`]).
    pub refused: Vec<Error>,
}

/// Says what an action would do with the records that a filter finds. Writes nothing and locks
/// nothing.
///
/// # Errors
/// As [`list`].
pub fn plan(filter: &Filter, action: Action, conn: &mut impl AsStore) -> Result<Plan> {
    plan_after(filter, action, None, conn)
}

/// Goes on where another plan has ended, with [`Plan::next`].
///
/// The order in which records are found is that of [`list`]. One that an action has moved meanwhile
/// may be found again where it is now: whoever wants each of many once plans all before the first is
/// moved.
///
/// # Errors
/// As [`list`].
pub fn plan_after(
    filter: &Filter,
    action: Action,
    after: Option<&Cursor>,
    conn: &mut impl AsStore,
) -> Result<Plan> {
    let registry = Registry::load(conn.as_store())?;
    let (moves, refused, first_refusal, next) = (Vec::new(), 0, None, after.cloned());
    let mut plan = Plan { action, moves, refused, first_refusal, next };
    loop {
        let limit = PAGE.min(MAX_PLANNED - plan.moves.len());
        let page = list(filter, plan.next.as_ref(), limit, conn)?;
        for standing in &page.records {
            let look = |conn: &mut _| look(conn, &plan.action, standing, &registry);
            let decided = reading(conn.as_store(), look)?;
            plan.add(standing, decided);
        }
        plan.next = page.next;
        if plan.next.is_none() || plan.moves.len() >= MAX_PLANNED {
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
    /// A record that has moved since it was planned is refused, and so is one of which the database
    /// refuses the move, or that somebody keeps locked for longer than about a second: the others go on.
    ///
    /// # Errors
    /// [`Error::Failed`]: the transactions before are committed. Plan it again and run that.
    pub fn run<S: AsStore>(
        &self,
        wish: &Wish,
        conn: &mut S,
        mut progress: impl FnMut(usize),
    ) -> Result<Report> {
        let conn = conn.as_store();
        let registry = Registry::load(conn)?;
        let mut report = Report::default();
        for batch in self.moves.chunks(BATCH) {
            let mut not_done = Vec::new();
            each_part(
                batch,
                is_of_a_record::<S::Store>,
                &mut |part| {
                    let done = self.run_part(part, wish, &registry, conn)?;
                    report.moved.extend(done.moved);
                    report.refused.extend(done.refused);
                    Ok(())
                },
                &mut |planned, source| {
                    let (flow, id) = (planned.flow.clone(), planned.target.id);
                    not_done.push(Error::NotDone { flow, id, source: Box::new(source) });
                },
            )?;
            report.refused.extend(not_done);
            progress(report.moved.len() + report.refused.len());
        }
        notify::everything();
        Ok(report)
    }

    /// Does it with these records, all or none.
    fn run_part<C: Store>(
        &self,
        part: &[Planned],
        wish: &Wish,
        registry: &Registry,
        conn: &mut C,
    ) -> crate::Result<Report> {
        transaction::run_bounded(conn, &mut |conn| {
            let mut done = Report::default();
            for planned in part {
                match act_in(conn, &self.action, planned.target, wish, registry) {
                    Ok(moved) => done.moved.push(moved),
                    Err(Error::Failed(failed)) => return Err(failed),
                    Err(refused) => done.refused.push(refused),
                }
            }
            Ok(done)
        })
    }
}
