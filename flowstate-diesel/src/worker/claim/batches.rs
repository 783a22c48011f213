//! Batches: claiming what is due, failing over what a dead worker left, taking timed transitions.
//!
//! Claims are many, so the database moves them all at once; the others are few: their rows are
//! locked, and moved one by one, in one transaction.

use flowstate::TransitionDefinition;

use crate::dialect::Dialect;
use crate::dialect::change::{Change, Claims, Link, Notes, Standing, Timing};
use crate::dialect::rows::{ClaimedRow, FlowRow};
use crate::dialect::sql::shared::{ExpiredFlows, OverdueFlows};
use crate::dialect::sql::statement::{Bind, Statement};
use crate::error::{RecordRef, Result};
use crate::transaction;
use crate::transaction::autocommit;
use crate::transaction::explain::explain;
use crate::transaction::token::token;
use crate::transition::apply::write;
use crate::transition::request::micros;
use crate::worker::step::backoff::pause;
use crate::worker::step::{Landing, StepSpec};

/// At most so many expired claims or timed transitions in one transaction.
const SWEPT_AT_ONCE: i64 = 100;

/// Which rows a batch takes, and where each of them goes.
struct Batch<'a> {
    flow: &'static str,
    state: &'a str,
    links: Vec<Link>,
    notes: Notes,
    completes: bool,
    destroys: bool,
}

/// Claims up to `limit` records that are due in the state `source` by at most `reach` microseconds,
/// the oldest first.
pub(crate) fn claim<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    source: &'static str,
    reach: i64,
    limit: usize,
    worker: &str,
) -> Result<Vec<ClaimedRow>> {
    let (link, token) = ((step.start_link)(), token()?);
    let finish = step.finish.first().filter(|_| step.repeats).map(|finish| finish().transition);
    let claims = Claims {
        flow: step.flow,
        from: source,
        link: &link,
        reach,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lease: (micros(step.lease), worker),
        deadline_in: step.running_deadline,
        token: &token,
        finish,
    };
    if autocommit::possible(conn) {
        match conn.claim(&claims) {
            // whoever was in the way is waited for under the lock
            Err(error) if C::classify(&error).conflict().is_some() => {}
            claimed => return claimed.map_err(|error| explain(conn, None, error)),
        }
    }
    // all that may fail comes before the commit: afterwards nobody would know of the claims
    transaction::run(conn, &mut |conn| {
        conn.claim(&claims).map_err(|error| explain(conn, None, error))
    })
}

/// Fails over up to [`SWEPT_AT_ONCE`] claims of this step whose lease has run out; `running` is a
/// stored name of its running state. Those that are `spared` are left alone. Returns how many.
pub(crate) fn reap<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    running: &'static str,
    spared: &dyn Fn(&FlowRow) -> bool,
) -> Result<usize> {
    let batch = Batch {
        flow: step.flow,
        state: running,
        links: vec![(step.fail)()],
        notes: Notes {
            error: Some("lease expired".to_owned()),
            token: token()?,
            ..Notes::default()
        },
        completes: step.failed.completes,
        destroys: step.failed.destroys,
    };
    let Landing { timing, completes, .. } = step.failed;
    let mut timing = |row: &FlowRow| failed_timing(step, row, timing, completes);
    transaction::run(conn, &mut |conn| {
        let mut rows = batch.lock::<C, ExpiredFlows>(conn)?;
        rows.retain(|row| !spared(row));
        batch.move_each(conn, rows, &mut timing)
    })
}

/// When the next try is after one that nobody ended.
fn failed_timing(
    step: &StepSpec,
    row: &FlowRow,
    landing: Timing<'static>,
    completes: bool,
) -> Timing<'static> {
    let failed = row.attempts.saturating_add(1);
    let pause = pause(&step.retry, failed).filter(|_| !completes);
    Timing { due_in: pause.map(micros), attempts: Some(failed), ..landing }
}

/// Takes the timed transition of up to [`SWEPT_AT_ONCE`] records whose time in `state` is over.
///
/// Where `step` runs in that state and starts where the transition leads, it ends a try: this is
/// counted as any failed one, and followed by the same pause.
pub(crate) fn take_timed<C: Dialect>(
    conn: &mut C,
    timed: &Timed,
    step: Option<&StepSpec>,
) -> Result<usize> {
    let batch = Batch {
        flow: timed.flow,
        state: timed.state,
        links: vec![timed.link()],
        notes: Notes { token: token()?, ..Notes::default() },
        completes: timed.completes,
        destroys: timed.destroys,
    };
    let mut timing = |row: &FlowRow| match step {
        Some(step) => failed_timing(step, row, timed.timing, timed.completes),
        None => timed.timing,
    };
    batch.run::<C, OverdueFlows>(conn, &mut timing)
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
    /// Whether it ends a try of this step.
    pub(crate) fn ends(&self, step: &StepSpec) -> bool {
        step.flow == self.flow
            && step.running_names.contains(&self.state)
            && step.sources.contains(&self.transition.to)
    }

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
        transaction::run(conn, &mut |conn| {
            let rows = self.lock::<C, Rows>(conn)?;
            self.move_each(conn, rows, timing)
        })
    }

    fn lock<C: Dialect, Rows: Statement>(&self, conn: &mut C) -> Result<Vec<FlowRow>> {
        let binds = [Bind::Text(self.flow), Bind::Text(self.state), Bind::Int(SWEPT_AT_ONCE)];
        conn.flows::<Rows>(&binds).map_err(|error| explain(conn, None, error))
    }

    fn move_each<'t, C: Dialect>(
        &self,
        conn: &mut C,
        rows: Vec<FlowRow>,
        timing: &mut dyn FnMut(&FlowRow) -> Timing<'t>,
    ) -> Result<usize> {
        let mut moved = 0;
        for row in rows {
            moved += usize::from(self.step(conn, &row, timing(&row))?);
        }
        Ok(moved)
    }

    fn step<C: Dialect>(&self, conn: &mut C, row: &FlowRow, timing: Timing<'_>) -> Result<bool> {
        let record = RecordRef { flow: self.flow, id: Some(row.id) };
        let change = Change {
            born: None,
            held_by: None,
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
        write(conn, &change).map(|applied| applied.is_some())
    }
}
