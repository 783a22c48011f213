//! Batches: claiming what is due, failing over what a dead worker left, taking timed transitions.
//!
//! Claims are many, so the database moves them all at once; the others are few: they are found
//! without a lock, then locked and moved one by one, in one transaction.

use std::time::{Duration, Instant};

use flowstate::{NextTry, StepError};

use super::settle::{failing, moving, timing_after};
use crate::dialect::change::{Claims, Landing, Link, Standing, Timing, Which};
use crate::dialect::rows::{ClaimedRow, FlowRow};
use crate::dialect::sql::shared::{
    FindDue, FindExpired, FindOverdue, FreeExpired, FreeOverdue, LockExpired, LockOverdue,
    TryLockFlow,
};
use crate::dialect::sql::statement::{Bind, Statement};
use crate::dialect::{Dialect, Waits};
use crate::error::{Error, RecordRef, Result};
use crate::metrics;
use crate::metrics::Taken;
use crate::text::time::micros;
use crate::transaction;
use crate::transaction::autocommit;
use crate::transaction::explain::Explain as _;
use crate::transaction::read::read;
use crate::transaction::retry::Tries;
use crate::transaction::scope;
use crate::transaction::scope::Hook;
use crate::transaction::token::token;
use crate::transition::apply::write;
use crate::worker::step::StepSpec;
use crate::worker::step::backoff::pause;
use crate::worker::step::timed::Timed;

/// As far back as times go.
pub(crate) const EVERYTHING: Duration = Duration::MAX;
/// At most so many expired claims or timed transitions in one transaction.
pub(crate) const BATCH: usize = 100;

fn most() -> Bind<'static> {
    Bind::Int(i64::try_from(BATCH).unwrap_or(i64::MAX))
}

/// A record that was found without its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: i64,
    pub(crate) seq: i64,
}

/// Claims `which` of the records that are due in the state `source`.
pub(crate) fn claim<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    source: &'static str,
    which: Which<'_>,
    worker: &str,
) -> Result<Vec<ClaimedRow>> {
    let token = token()?;
    let claims = Claims {
        flow: step.flow,
        from: source,
        link: &step.start,
        which,
        lease: (micros(step.lease()), worker),
        deadline_in: step.running_deadline,
        token: &token,
        finishes: step.repeats.as_deref(),
        waits: Waits::AsSet,
    };
    if autocommit::possible(conn) {
        let tries = Tries::start();
        match conn.claim(&Claims { waits: Waits::Bounded, ..claims }) {
            // whoever was in the way is waited for under the lock
            Err(error)
                if C::classify(&error)
                    .conflict()
                    .is_some_and(|reason| !tries.have_waited(reason)) => {}
            claimed => {
                let claimed = claimed.explain(conn)?;
                metrics::taken(step.flow, step.start.transition, claimed.len());
                return Ok(claimed);
            }
        }
    }
    // all that may fail comes before the commit: afterwards nobody would know of the claims
    transaction::run_bounded(conn, &mut |conn| {
        let claimed = conn.claim(&claims).explain(conn)?;
        let mut noted = Taken::default();
        noted.add(step.flow, step.start.transition, claimed.len());
        scope::note_taken(conn, noted);
        Ok(claimed)
    })
}

/// The records that a claim of the oldest would take, without claiming them.
pub(crate) fn find_due<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    source: &'static str,
    (reach, but, limit): (i64, &str, i64),
) -> Result<Vec<Found>> {
    let [flow, state] = [Bind::Text(step.flow), Bind::Text(source)];
    let binds = [flow, state, Bind::Int(reach), Bind::Text(but), Bind::Int(limit)];
    find::<C, FindDue>(conn, step.flow, &binds)
}

/// Claims those of these records that nobody has locked or moved since they were found. One that is
/// alone, is free and is not taken all the same is skipped by the database: that is an error.
pub(crate) fn claim_found<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    source: &'static str,
    found: &[Found],
    worker: &str,
) -> Result<Vec<ClaimedRow>> {
    let ids: Vec<_> = found.iter().map(|found| found.id).collect();
    let [only] = found else { return claim(conn, step, source, Which::These(&ids), worker) };
    let record = RecordRef { flow: step.flow, id: Some(only.id) };
    transaction::run_bounded(conn, &mut |conn| {
        let rows = conn
            .flows::<TryLockFlow>(&[Bind::Int(only.id), Bind::Text(step.flow)])
            .explain_for(conn, record)?;
        if rows.first().is_none_or(|row| row.seq != only.seq) {
            return Ok(Vec::new());
        }
        let claimed = claim(conn, step, source, Which::These(&ids), worker)?;
        if claimed.is_empty() { Err(Error::skipped(record)) } else { Ok(claimed) }
    })
}

/// The claims of this step whose lease has run out, but for those of a JSON array of ids; `running`
/// is a stored name of its running state.
pub(crate) fn find_expired<C: Dialect>(
    conn: &mut C,
    step: &StepSpec,
    running: &'static str,
    but: &str,
) -> Result<Vec<Found>> {
    let [flow, state] = [Bind::Text(step.flow), Bind::Text(running)];
    let binds = [flow, state, Bind::Text(but), most()];
    find::<C, FindExpired>(conn, step.flow, &binds)
}

/// The records whose time in the state is over, but for those of a JSON array of ids.
pub(crate) fn find_overdue<C: Dialect>(
    conn: &mut C,
    timed: &Timed<C>,
    but: &str,
) -> Result<Vec<Found>> {
    let [flow, state] = [Bind::Text(timed.flow), Bind::Text(timed.state)];
    let binds = [flow, state, Bind::Text(but), most()];
    find::<C, FindOverdue>(conn, timed.flow, &binds)
}

fn find<C: Dialect, Rows: Statement>(
    conn: &mut C,
    flow: &'static str,
    binds: &[Bind<'_>],
) -> Result<Vec<Found>> {
    let rows = read(conn, RecordRef { flow, id: None }, |conn| conn.counts::<Rows>(binds))?;
    let found = |label: &str, seq| Some(Found { id: label.parse().ok()?, seq });
    Ok(rows.iter().filter_map(|row| found(&row.label, row.number)).collect())
}

/// The user's part of failing a try over, on the row under its lock; the last argument says whether
/// no further try follows.
pub(crate) type FailOver<'f, C> = &'f dyn Fn(FlowRow, &StepError, bool, &mut C) -> Result<()>;

/// The result of failing expired claims over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reaped {
    pub(crate) records: usize,
    /// How many of them were the last try.
    gave_up: usize,
    /// The database took so long to lock one of them that their holders, too, may have been waiting
    /// for it: the others were left alone.
    pub(crate) stalled: bool,
}

/// Fails over those of these claims whose lease has still run out and that nobody has locked, all or
/// none. The hooks of the user's part are left for later.
pub(crate) fn reap<C: Dialect>(
    conn: &mut C,
    hooks: &mut Vec<Hook>,
    step: &StepSpec,
    found: &[Found],
    fail_over: FailOver<'_, C>,
) -> Result<Reaped> {
    let error = StepError::from("lease expired");
    let begun = Instant::now();
    let bounded = Waits::Bounded;
    let reaped = transaction::run_closures_before_hooks(conn, bounded, hooks, &mut |conn| {
        let (mut reaped, mut gave_up, mut begun) = (0, 0, begun);
        for found in found {
            let deletes = step.may_destroy();
            let lock = if deletes { lock::<C, FreeExpired> } else { lock::<C, LockExpired> };
            let row = lock(conn, step.flow, *found)?;
            if begun.elapsed() >= step.lease() / 3 {
                return Ok(Reaped { records: reaped, gave_up, stalled: true });
            }
            let Some(row) = row else { continue };
            let place = Place::of(step.flow, &row);
            let failing = failing(step, row.attempts, NextTry::Backoff);
            let landing = Landing { timing: failing.timing, ..failing.ending.landing };
            let links = failing.ending.links(Vec::new());
            fail_over(row, &error, failing.next.is_none(), conn)?;
            place.move_on(conn, links, landing, Some(error.to_string()))?;
            gave_up += usize::from(failing.next.is_none());
            (reaped, begun) = (reaped + 1, Instant::now());
        }
        Ok(Reaped { records: reaped, gave_up, stalled: false })
    });
    if let Ok(reaped) = &reaped {
        metrics::leases_expired(step.flow, step.name, reaped.records);
        metrics::gave_up(step.flow, step.name, reaped.gave_up);
    }
    reaped
}

/// Takes the timed transition of those of these records whose time in the state is still over and
/// that nobody has locked, all or none. Returns how many. The hooks of the user's part are left for
/// later.
///
/// Where `step` runs in that state and starts where the transition leads, it ends a try: this is
/// counted as any failed one, and followed by the same pause.
pub(crate) fn take_timed<C: Dialect>(
    conn: &mut C,
    hooks: &mut Vec<Hook>,
    timed: &Timed<C>,
    step: Option<&StepSpec>,
    found: &[Found],
) -> Result<usize> {
    transaction::run_closures_before_hooks(conn, Waits::Bounded, hooks, &mut |conn| {
        let mut taken = 0;
        for found in found {
            let deletes = timed.landing.destroys;
            let lock = if deletes { lock::<C, FreeOverdue> } else { lock::<C, LockOverdue> };
            let Some(row) = lock(conn, timed.flow, *found)? else { continue };
            let place = Place::of(timed.flow, &row);
            let timing = step.map(|step| timed_out(step, row.attempts, timed.landing));
            let landing =
                Landing { timing: timing.unwrap_or(timed.landing.timing), ..timed.landing };
            if let Some(expire) = &timed.expire {
                expire(row, conn)?;
            }
            place.move_on(conn, vec![timed.link.clone()], landing, None)?;
            taken += 1;
        }
        Ok(taken)
    })
}

/// When the next try is after one that took too long.
fn timed_out(step: &StepSpec, attempts: i32, landing: Landing) -> Timing {
    let failed = attempts.saturating_add(1);
    timing_after(landing, failed, pause(step.policy.backoff(), failed))
}

fn lock<C: Dialect, Row: Statement>(
    conn: &mut C,
    flow: &'static str,
    found: Found,
) -> Result<Option<FlowRow>> {
    let rows = conn.flows::<Row>(&[Bind::Int(found.id), Bind::Int(found.seq), Bind::Text(flow)]);
    let record = RecordRef { flow, id: Some(found.id) };
    Ok(rows.explain_for(conn, record)?.into_iter().next())
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

    /// Moves the row, which is locked.
    fn move_on<C: Dialect>(
        &self,
        conn: &mut C,
        links: Vec<Link>,
        landing: Landing,
        error: Option<String>,
    ) -> Result<()> {
        let Self { record, id, seq, ref state, attempts } = *self;
        let before = Standing { seq, state, is_error: false, attempts };
        let plan = moving(record, id, links, landing, error)?;
        // the user's part may have moved it, and a trigger may skip it
        let moved = write(conn, &plan.change(before, None))?;
        moved.map(drop).ok_or_else(|| Error::skipped(record))
    }
}
