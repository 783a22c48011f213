//! Batches: claiming what is due, failing over what a dead worker left, taking timed transitions.
//!
//! Claims are many, so the database moves them all at once; the others are few: their rows are
//! locked, and moved one by one, in one transaction.

use flowstate::{NextTry, StepError};

use super::settle::failing;
use crate::dialect::Dialect;
use crate::dialect::change::{Change, Claims, Link, Notes, Standing, Timing};
use crate::dialect::rows::{ClaimedRow, FlowRow};
use crate::dialect::sql::shared::{ExpiredFlows, OverdueFlows};
use crate::dialect::sql::statement::{Bind, Statement};
use crate::error::{RecordRef, Result};
use crate::text::time::micros;
use crate::transaction;
use crate::transaction::autocommit;
use crate::transaction::explain::explain;
use crate::transaction::token::token;
use crate::transition::apply::write;
use crate::worker::step::backoff::pause;
use crate::worker::step::timed::Timed;
use crate::worker::step::{Landing, StepSpec};

/// At most so many expired claims or timed transitions in one transaction.
const BATCH: i64 = 100;

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
    let token = token()?;
    let claims = Claims {
        flow: step.flow,
        from: source,
        link: &step.start,
        reach,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lease: (micros(step.lease()), worker),
        deadline_in: step.running_deadline,
        token: &token,
        finishes: step.repeats.as_deref(),
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

/// The user's part of failing a try over, on the row under its lock; the last argument says whether
/// no further try follows.
pub(crate) type FailOver<'f, C> = &'f dyn Fn(FlowRow, &StepError, bool, &mut C) -> Result<()>;

/// Fails over up to [`BATCH`] claims of this step whose lease has run out; `running` is a stored name
/// of its running state. Those that are `spared` are left alone. Returns how many.
pub(crate) fn reap<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    running: &'static str,
    spared: &dyn Fn(&FlowRow) -> bool,
    fail_over: FailOver<'_, C>,
) -> Result<usize> {
    let error = StepError::from("lease expired");
    let notes = Notes { error: Some(error.to_string()), token: token()?, ..Notes::default() };
    transaction::run_closures(conn, &mut |conn| {
        let mut rows = lock::<C, ExpiredFlows>(conn, step.flow, running)?;
        rows.retain(|row| !spared(row));
        let mut reaped = 0;
        for row in rows {
            let failing = failing(step, row.attempts, NextTry::Backoff);
            let (links, landing) = (failing.ending.links(Vec::new()), failing.ending.landing);
            let landing = Landing { timing: failing.timing, ..landing };
            let place = Place::of(step.flow, &row);
            fail_over(row, &error, failing.next.is_none(), conn)?;
            reaped += usize::from(step_row(conn, &place, &links, &notes, landing)?);
        }
        Ok(reaped)
    })
}

/// Takes the timed transition of up to [`BATCH`] records whose time in the state is over. Returns how
/// many.
///
/// Where `step` runs in that state and starts where the transition leads, it ends a try: this is
/// counted as any failed one, and followed by the same pause.
pub(crate) fn take_timed<C: Dialect>(
    conn: &mut C,
    timed: &Timed<C>,
    step: Option<&StepSpec>,
) -> Result<usize> {
    let notes = Notes { token: token()?, ..Notes::default() };
    let links = [timed.link.clone()];
    transaction::run_closures(conn, &mut |conn| {
        let rows = lock::<C, OverdueFlows>(conn, timed.flow, timed.state)?;
        let mut taken = 0;
        for row in rows {
            let place = Place::of(timed.flow, &row);
            let timing = step.map(|step| timed_out(step, row.attempts, timed.landing));
            let landing =
                Landing { timing: timing.unwrap_or(timed.landing.timing), ..timed.landing };
            if let Some(expire) = &timed.expire {
                expire(row, conn)?;
            }
            taken += usize::from(step_row(conn, &place, &links, &notes, landing)?);
        }
        Ok(taken)
    })
}

/// When the next try is after one that took too long.
fn timed_out(step: &StepSpec, attempts: i32, landing: Landing) -> Timing<'static> {
    let failed = attempts.saturating_add(1);
    let pause = pause(step.policy.backoff(), failed).filter(|_| !landing.completes);
    Timing { due_in: pause.map(micros), attempts: Some(failed), ..landing.timing }
}

/// Where a locked row stands.
struct Place {
    record: RecordRef,
    id: i64,
    seq: i64,
    state: String,
    attempts: i32,
}

impl Place {
    fn of(flow: &'static str, row: &FlowRow) -> Self {
        let (id, state) = (row.id, row.state.clone());
        let record = RecordRef { flow, id: Some(id) };
        Self { record, id, seq: row.seq, state, attempts: row.attempts }
    }
}

fn lock<C: Dialect, Rows: Statement>(
    conn: &mut C,
    flow: &'static str,
    state: &str,
) -> Result<Vec<FlowRow>> {
    let binds = [Bind::Text(flow), Bind::Text(state), Bind::Int(BATCH)];
    conn.flows::<Rows>(&binds).map_err(|error| explain(conn, None, error))
}

/// Moves one locked row. `false` if it is no longer where it was.
fn step_row<C: Dialect>(
    conn: &mut C,
    place: &Place,
    links: &[Link],
    notes: &Notes,
    landing: Landing,
) -> Result<bool> {
    let Landing { completes, destroys, timing } = landing;
    let before =
        Standing { seq: place.seq, state: &place.state, is_error: false, attempts: place.attempts };
    let timing: Timing<'_> = timing;
    let (record, id, props) = (place.record, place.id, None);
    let (born, held_by) = (None, None);
    let change = Change {
        record,
        id,
        before,
        links,
        notes,
        completes,
        destroys,
        timing,
        props,
        born,
        held_by,
    };
    write(conn, &change).map(|applied| applied.is_some())
}
