//! Batches: claiming what is due, failing over what a dead worker left, taking timed transitions.
//!
//! All three are the same: lock some rows of a state, and move each of them, in one transaction.

use flowstate::TransitionDefinition;

use super::step::StepSpec;
use crate::apply::{Applied, write};
use crate::change::{Change, Claims, Link, Notes, Standing, Timing};
use crate::dialect::Dialect;
use crate::dialect::rows::{FlowRow, Stamp};
use crate::dialect::sql::{DueFlows, ExpiredFlows, LastTaken, OverdueFlows};
use crate::dialect::statement::{Bind, Statement};
use crate::error::{RecordRef, Result};
use crate::failure::explain;
use crate::request::{micros, token};
use crate::transaction;

/// At most so many expired claims or timed transitions in one transaction.
const SWEPT_AT_ONCE: i64 = 100;

/// A record that this worker may work on until its lease runs out.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// The row after the start transition.
    pub(crate) row: FlowRow,
    /// When this step last finished before, by `seq`; only asked where a step can repeat.
    pub(crate) last_finish: Option<i64>,
}

/// Which rows a batch takes, and where each of them goes.
struct Batch<'a> {
    flow: &'static str,
    state: &'a str,
    limit: i64,
    links: Vec<Link>,
    notes: Notes,
    completes: bool,
    destroys: bool,
}

/// Claims up to `limit` records that are due in the state `source`, the oldest first.
pub(crate) fn claim<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    source: &'static str,
    limit: usize,
    worker: &str,
) -> Result<Vec<Claimed>> {
    let (link, token) = ((step.start_link)(), token());
    let claims = Claims {
        flow: step.flow,
        from: source,
        link: &link,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lease: (micros(step.lease), worker),
        deadline_in: step.running_deadline,
        token: &token,
    };
    match claim_at_once(conn, step, &claims)? {
        Some(rows) => Ok(rows.into_iter().map(|row| Claimed { row, last_finish: None }).collect()),
        None => claim_each(conn, step, &claims),
    }
}

/// One statement, a transaction of its own. `None` if it was not to be: nothing is claimed then.
fn claim_at_once<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    claims: &Claims<'_>,
) -> Result<Option<Vec<FlowRow>>> {
    // the visits of a repeating step are told apart by a further question, before the commit
    if !C::ONE_STATEMENT || step.repeats || conn.depth().is_ok_and(|depth| depth > 0) {
        return Ok(None);
    }
    match conn.claim(claims) {
        // whoever was in the way is waited for under the lock
        Err(error) if C::conflict(&error).is_some() => Ok(None),
        claimed => claimed.map_err(|error| explain(conn, None, error)),
    }
}

/// A transaction for the batch, statements for each record.
fn claim_each<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    claims: &Claims<'_>,
) -> Result<Vec<Claimed>> {
    let actor = Some(claims.lease.1.to_owned());
    let batch = Batch {
        flow: claims.flow,
        state: claims.from,
        limit: claims.limit,
        links: vec![(step.start_link)()],
        notes: Notes { actor, token: claims.token.to_owned(), ..Notes::default() },
        completes: false,
        destroys: false,
    };
    let mut timing = |row: &FlowRow| Timing {
        due_in: None,
        deadline_in: claims.deadline_in,
        lease: Some(claims.lease),
        attempts: Some(row.attempts),
    };
    // all that may fail comes before the commit: afterwards nobody would know of the claims
    transaction::run(conn, &mut |conn| {
        let moved = batch.moves::<C, DueFlows>(conn, &mut timing)?;
        moved.into_iter().map(|moved| claimed(conn, step, moved)).collect()
    })
}

fn claimed<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    (mut row, applied): (FlowRow, Applied),
) -> Result<Claimed> {
    step.running.clone_into(&mut row.state);
    row.seq = applied.seq;
    (row.due_at, row.last_errored_at) = (None, None);
    if let Some(Stamp::Read(stamp)) = applied.stamp {
        row.updated_at = stamp.updated_at;
    }
    let last_finish = last_finish(conn, step, &row)?;
    Ok(Claimed { row, last_finish })
}

/// When the step last finished: tells one visit of a repeating step from the next.
fn last_finish<C: Dialect>(conn: &mut C, step: &StepSpec, row: &FlowRow) -> Result<Option<i64>> {
    let Some(finish) = step.finish.first().filter(|_| step.repeats) else { return Ok(None) };
    let binds = [Bind::Int(row.id), Bind::Text(finish().transition)];
    let record = RecordRef { flow: step.flow, id: Some(row.id) };
    let rows =
        conn.counts::<LastTaken>(&binds).map_err(|error| explain(conn, Some(record), error))?;
    Ok(rows.first().map(|row| row.number))
}

/// Fails over up to [`SWEPT_AT_ONCE`] claims of this step whose lease has run out; `running` is a
/// stored name of its running state. Returns how many.
pub(crate) fn reap<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    running: &'static str,
) -> Result<usize> {
    let batch = Batch {
        flow: step.flow,
        state: running,
        limit: SWEPT_AT_ONCE,
        links: vec![(step.fail)()],
        notes: Notes {
            error: Some("lease expired".to_owned()),
            token: token(),
            ..Notes::default()
        },
        completes: step.failed.completes,
        destroys: step.failed.destroys,
    };
    batch.run::<C, ExpiredFlows>(conn, &mut |row| {
        let failed = row.attempts.saturating_add(1);
        let pause = step.retry.pause(failed).filter(|_| !step.failed.completes);
        Timing { due_in: pause.map(micros), attempts: Some(failed), ..step.failed.timing }
    })
}

/// Takes the timed transition of up to [`SWEPT_AT_ONCE`] records whose time in `state` is over.
pub(crate) fn take_timed<C: Dialect>(conn: &mut C, timed: &Timed) -> Result<usize> {
    let batch = Batch {
        flow: timed.flow,
        state: timed.state,
        limit: SWEPT_AT_ONCE,
        links: vec![timed.link()],
        notes: Notes { token: token(), ..Notes::default() },
        completes: timed.completes,
        destroys: timed.destroys,
    };
    batch.run::<C, OverdueFlows>(conn, &mut |_| timed.timing)
}

/// A timed transition out of one state.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) flow: &'static str,
    pub(crate) state: &'static str,
    pub(crate) transition: &'static TransitionDefinition,
    pub(crate) to_error: bool,
    pub(crate) completes: bool,
    pub(crate) destroys: bool,
    pub(crate) timing: Timing<'static>,
}

impl Timed {
    fn link(&self) -> Link {
        let TransitionDefinition { name, to, .. } = *self.transition;
        Link { transition: name, to, to_error: self.to_error, artefacts: Vec::new() }
    }
}

impl Batch<'_> {
    /// Locks the rows and moves each, in one transaction. Returns how many.
    fn run<'t, C: Dialect, Rows: Statement>(
        &self,
        conn: &mut C,
        timing: &mut dyn FnMut(&FlowRow) -> Timing<'t>,
    ) -> Result<usize> {
        transaction::run(conn, &mut |conn| Ok(self.moves::<C, Rows>(conn, timing)?.len()))
    }

    /// The same in the transaction that is open.
    fn moves<'t, C: Dialect, Rows: Statement>(
        &self,
        conn: &mut C,
        timing: &mut dyn FnMut(&FlowRow) -> Timing<'t>,
    ) -> Result<Vec<(FlowRow, Applied)>> {
        let binds = [Bind::Text(self.flow), Bind::Text(self.state), Bind::Int(self.limit)];
        let rows = conn.flows::<Rows>(&binds).map_err(|error| explain(conn, None, error))?;
        let mut moved = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(applied) = self.step(conn, &row, timing(&row))? {
                moved.push((row, applied));
            }
        }
        Ok(moved)
    }

    fn step<C: Dialect>(
        &self,
        conn: &mut C,
        row: &FlowRow,
        timing: Timing<'_>,
    ) -> Result<Option<Applied>> {
        let record = RecordRef { flow: self.flow, id: Some(row.id) };
        let change = Change {
            record,
            id: row.id,
            before: Standing {
                seq: row.seq,
                state: &row.state,
                is_error: false,
                attempts: row.attempts,
            },
            links: &self.links,
            notes: &self.notes,
            completes: self.completes,
            destroys: self.destroys,
            timing,
            props: None,
        };
        write(conn, &change)
    }
}
