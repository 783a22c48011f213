//! The one algorithm of a transition, in reading order, for every database.
//!
//! No type of the user's flow is known here: only names, numbers and JSON text travel, and what
//! needs the types is asked of the [`Subject`].

use std::time::Instant;

use chrono::{DateTime, Utc};

use super::artefacts::{Stored, newest_row};
use super::destroy::destroy;
use super::labels;
use super::labels::Labels;
use super::trace;
use crate::dialect::Dialect;
use crate::dialect::change::{Change, Plan, Props, Standing};
use crate::dialect::rows::{FlowRow, Stamp};
use crate::dialect::sql::shared::{HolderOf, Lease, LockFlow};
use crate::dialect::sql::statement::Bind;
use crate::dialect::write_queue::{Offered, Turn, Written};
use crate::error::unconfirmed::Mark;
use crate::error::{Error, RecordRef, Result};
use crate::transaction;
use crate::transaction::autocommit;
use crate::transaction::explain::Explain as _;
use crate::transaction::group;
use crate::transaction::notify;
use crate::transaction::notify::Notification;
use crate::transaction::scope;

/// The typed side of a request.
pub(crate) trait Subject<C> {
    /// Where the record in memory stands, if that is all the request needs to know: it has no
    /// closures, and the transition starts there.
    fn remembered(&self) -> Option<Standing<'static>>;

    /// When the record was created, if that is remembered.
    fn born(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// Whether no closure of the caller runs.
    fn is_plain(&self) -> bool;

    /// Takes the freshly locked row.
    fn refresh(&mut self, row: FlowRow) -> Result<()>;

    /// Holds the transition against the locked row, then runs guards, updates and `within`.
    /// Returns where the row stands and the props if they changed, with their version.
    fn prepare(&mut self, conn: &mut C) -> Result<(Standing<'static>, Option<(String, u32)>)>;

    /// The labels, if the props that were prepared have others.
    fn labels(&self) -> Result<Option<Labels>> {
        Ok(None)
    }

    /// Decodes the artefacts that the transition loads; `newest` finds one by its names. If the row
    /// is where it is remembered, one that the record wrote itself need not be looked for.
    fn load(&mut self, remembered: bool, newest: &mut Newest<'_>) -> Result<()>;
}

/// Finds the newest artefact by its name and its earlier names.
pub(crate) type Newest<'a> =
    dyn FnMut(&'static str, &'static [&'static str]) -> Result<Option<Stored>> + 'a;

/// The place of the row after a transition, and the proof that it was written.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) seq: i64,
    pub(crate) attempts: i32,
    /// The time of the write; `None` for a record that was destroyed.
    pub(crate) stamp: Option<Stamp>,
    pub(crate) mark: Mark,
}

/// Runs a transition: all of it, or nothing.
pub(crate) fn apply<C: Dialect>(
    conn: &mut C,
    plan: &Plan,
    subject: &mut dyn Subject<C>,
) -> Result<Applied> {
    // a lease is a statement of its own, and so is a trace context
    let is_one = plan.lease.is_none() && plan.notes.traceparent.is_none();
    let alone = is_one && autocommit::possible(conn);
    let (mut turn, is_plain) = (None, subject.is_plain());
    if is_one
        && (alone || is_plain && group::can_offer(conn, &mut turn))
        && let Some(applied) = write_at_once(conn, plan, subject, &mut turn)?
    {
        return Ok(applied);
    }
    let mut body = |conn: &mut C| {
        // the fast path: if the record has not moved on since it was read, its row is as we know it
        let before = subject.remembered().filter(|_| !alone && !plan.landing.destroys);
        // an inner transaction may see what was there when the outer one first read
        let mut has_read = conn.depth().is_ok_and(|depth| depth > 1);
        if let Some(before) = before
            && readable(read_loads(
                conn,
                plan,
                subject,
                Loads { remembered: true, has_read, seq: before.seq },
            ))?
            && let Some(applied) = write_planned(
                conn,
                plan,
                &Change { born: subject.born(), ..plan.change(before, None) },
            )?
        {
            return Ok(applied);
        }
        has_read |= before.is_some();
        let (row, flow) = lock(conn, plan)?;
        let under_alias;
        let plan = if flow == plan.record.flow {
            plan
        } else {
            under_alias = Plan { record: RecordRef { flow, ..plan.record }, ..plan.clone() };
            &under_alias
        };
        if plan.held_by.is_some() && subject.remembered().is_none_or(|before| before.seq != row.seq)
        {
            return Err(plan.lease_lost());
        }
        subject.refresh(row)?;
        let (before, props) = subject.prepare(conn)?;
        let loads = Loads { remembered: false, has_read, seq: before.seq };
        read_loads(conn, plan, subject, loads)?;
        let props = props.as_ref().map(|(json, version)| Props { json, version: *version });
        let written = write_planned(conn, plan, &plan.change(before, props))?;
        if written.is_some()
            && !plan.landing.destroys
            && let Some(labels) = subject.labels()?
        {
            labels::replace(conn, plan.record, plan.id, &labels)?;
        }
        // under the lock nobody else can move it: the caller's own `within` has
        written.ok_or_else(|| moved_within(conn, plan, before))
    };
    let applied = if is_plain {
        transaction::run_in(conn, turn, &mut body)
    } else {
        transaction::run_closures(conn, &mut body)
    };
    applied.map_err(|error| error.about(plan.record))
}

/// Writes the change, and claims the record if the request has a lease. `None` if the row is not at
/// `change.before`.
fn write_planned<C: Dialect>(
    conn: &mut C,
    plan: &Plan,
    change: &Change<'_>,
) -> Result<Option<Applied>> {
    let written = write(conn, change)?;
    if let (Some(applied), Some((micros, holder))) = (&written, &plan.lease) {
        let [ago, id, seq] = [micros.saturating_neg(), plan.id, applied.seq].map(Bind::Int);
        let leased = conn.run::<Lease>(&[ago, Bind::Text(holder), id, seq]);
        if leased.explain_for(conn, plan.record)? == 0 {
            return Err(Error::skipped(plan.record));
        }
    }
    Ok(written)
}

/// The fast path outside a transaction, where one statement does it all, or another thread writes
/// it. `None` if it was not to be: nothing is written then, and `turn` is set if it is ours to write.
///
/// What is loaded is read and decoded before, so that a failure to decode leaves the record alone.
/// It cannot change in between: artefacts come with transitions, and the statement does nothing if
/// there was one.
fn write_at_once<C: Dialect>(
    conn: &mut C,
    plan: &Plan,
    subject: &mut dyn Subject<C>,
    turn: &mut Option<Turn>,
) -> Result<Option<Applied>> {
    let Some(before) = subject.remembered().filter(|_| !plan.landing.destroys) else {
        return Ok(None);
    };
    let loads = Loads { remembered: true, has_read: false, seq: before.seq };
    let loaded = read_loads(conn, plan, subject, loads);
    // whoever is in the way is waited for under the lock
    if loaded.as_ref().is_err_and(Error::is_conflict) || !readable(loaded)? {
        return Ok(None);
    }
    let change = Change { born: subject.born(), ..plan.change(before, None) };
    refuse_beyond_numbers(&change)?;
    let mark = mark(&change);
    let stamp = if C::ONE_STATEMENT {
        autocommit::run(conn, &mark, |conn| conn.write(&change))?
    } else {
        let (plan, born) = (plan.clone(), change.born);
        match group::offer(conn, &mark, turn, Offered::Change { plan, before, born })? {
            Some(Written::Moved(stamp)) => Some(stamp),
            Some(Written::Created(_)) | None => None,
        }
    };
    Ok(stamp.map(|stamp| {
        notify::committed(Notification::of(&change));
        change.taken().count();
        applied(&change, Some(stamp), mark)
    }))
}

/// Whether the artefacts could be read without the row's lock. If the record has moved on, only
/// what is read under the lock counts.
fn readable(loaded: Result<()>) -> Result<bool> {
    match loaded {
        Ok(()) => Ok(true),
        // whoever was in the way is waited for under the lock
        Err(error) if error.is_unreadable() || error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Locks the row. Returns it, and the name under which it is stored.
fn lock<C: Dialect>(conn: &mut C, plan: &Plan) -> Result<(FlowRow, &'static str)> {
    for name in std::iter::once(plan.record.flow).chain(plan.aliases.iter().copied()) {
        let rows = conn.flows::<LockFlow>(&[Bind::Int(plan.id), Bind::Text(name)]);
        if let Some(row) = rows.explain_for(conn, plan.record)?.into_iter().next() {
            return Ok((row, name));
        }
    }
    if plan.held_by.is_some() {
        return Err(plan.lease_lost());
    }
    Err(Error::NotFound { record: plan.record })
}

/// Writes the row, its history and its artefacts. `None` if the row is not at `change.before`.
pub(crate) fn write<C: Dialect>(conn: &mut C, change: &Change<'_>) -> Result<Option<Applied>> {
    refuse_beyond_numbers(change)?;
    let written = if change.landing.destroys {
        if let Some(worker) = change.held_by
            && !is_holder(conn, change.record, change.id, worker)?
        {
            return Ok(None);
        }
        let has_labels = change.links.iter().any(|link| link.has_labels);
        destroy(conn, change.id, change.before.seq, has_labels)
            .map(|destroyed| destroyed.then_some(None))
    } else {
        conn.write(change).and_then(|stamp| {
            stamp.map(|stamp| trace::keep_with(conn, change).map(|()| Some(stamp))).transpose()
        })
    };
    let written = written.explain_for(conn, change.record)?;
    let Some(stamp) = written else { return Ok(None) };
    let mark = note_written(conn, change);
    Ok(Some(applied(change, stamp, mark)))
}

/// No program moves a record so often, but somebody may have written its row.
fn refuse_beyond_numbers(change: &Change<'_>) -> Result<()> {
    if change.after().seq < i64::MAX {
        return Ok(());
    }
    let text = "the record has moved as often as numbers go";
    let source = diesel::result::Error::DeserializationError(text.into());
    Err(Error::Database { record: Some(change.record), source })
}

/// Remembers a change that was written in the transaction that is open.
pub(crate) fn note_written<C: Dialect>(conn: &mut C, change: &Change<'_>) -> Mark {
    let mark = mark(change);
    scope::set_mark(conn, mark.clone(), Notification::of(change));
    scope::note_taken(conn, change.taken());
    mark
}

pub(crate) fn mark(change: &Change<'_>) -> Mark {
    let (seq, token) = (change.after().seq, change.notes.token.clone());
    let (destroyed, since) = (change.landing.destroys, Instant::now());
    Mark { record: change.record, seq, token, destroyed, created: false, since }
}

fn applied(change: &Change<'_>, stamp: Option<Stamp>, mark: Mark) -> Applied {
    let after = change.after();
    Applied { seq: after.seq, attempts: after.attempts, stamp, mark }
}

/// How the artefacts that a transition loads are read.
#[derive(Clone, Copy)]
struct Loads {
    /// The row is taken as it is remembered, and the write will be held against that. Otherwise it
    /// is locked.
    remembered: bool,
    /// The transaction has read before, and may still see what was there then.
    has_read: bool,
    /// Where the record stands.
    seq: i64,
}

fn read_loads<C: Dialect>(
    conn: &mut C,
    plan: &Plan,
    subject: &mut dyn Subject<C>,
    loads: Loads,
) -> Result<()> {
    let Loads { remembered, has_read, seq } = loads;
    subject.load(remembered, &mut |name, aliases| {
        let newest = newest_row(conn, plan.id, None, (name, aliases), has_read)
            .explain_for(conn, plan.record)?;
        // READ UNCOMMITTED shows what another transaction may yet undo
        Ok(newest.filter(|row| row.seq <= seq).map(Stored::from))
    })
}

fn moved_within<C: Dialect>(conn: &mut C, plan: &Plan, before: Standing<'static>) -> Error {
    let found = match lock(conn, plan) {
        Ok((row, _)) if row.seq == before.seq => return unmoved(conn, plan),
        Ok((row, _)) => row.state,
        Err(error) => return error,
    };
    let transition = plan.links.first().map_or("", |link| link.transition);
    Error::InvalidTransition {
        record: plan.record,
        transition,
        found,
        expected: vec![before.state],
    }
}

/// Why a row was not moved that is where it should be, and locked.
fn unmoved<C: Dialect>(conn: &mut C, plan: &Plan) -> Error {
    let Some(worker) = &plan.held_by else { return Error::skipped(plan.record) };
    match is_holder(conn, plan.record, plan.id, worker) {
        Ok(true) => Error::skipped(plan.record),
        Ok(false) => plan.lease_lost(),
        Err(error) => error,
    }
}

/// Whether the record is claimed by this worker. It should be locked.
pub(crate) fn is_holder<C: Dialect>(
    conn: &mut C,
    record: RecordRef,
    id: i64,
    worker: &str,
) -> Result<bool> {
    let rows = conn.counts::<HolderOf>(&[Bind::Int(id)]).explain_for(conn, record)?;
    Ok(rows.first().is_some_and(|row| row.label == worker))
}
