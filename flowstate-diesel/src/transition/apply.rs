//! The one algorithm of a transition, in reading order, for every database.
//!
//! No type of the user's flow is known here: only names, numbers and JSON text travel, and what
//! needs the types is asked of the [`Subject`].

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::destroy::destroy;
use super::labels;
use super::labels::Labels;
use crate::dialect::Dialect;
use crate::dialect::change::{Change, Link, Notes, Standing, Timing};
use crate::dialect::rows::{ArtefactRow, FlowRow, Stamp};
use crate::dialect::sql::shared::{
    HolderOf, LockFlow, NewestArtefact, NewestArtefactAmong, NewestArtefactAmongOf,
    NewestArtefactOf,
};
use crate::dialect::sql::statement::{Bind, Current, Statement};
use crate::error::unconfirmed::Mark;
use crate::error::{Error, RecordRef, Result};
use crate::transaction;
use crate::transaction::autocommit;
use crate::transaction::explain::explain;
use crate::transaction::notify;
use crate::transaction::notify::Notification;
use crate::transaction::scope;

/// What a request asks for, without types.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) record: RecordRef,
    pub(crate) id: i64,
    pub(crate) links: Vec<Link>,
    pub(crate) notes: Notes,
    pub(crate) completes: bool,
    pub(crate) destroys: bool,
    pub(crate) timing: Timing<'static>,
    /// The request ends a claim of this worker: the row must still be at the `seq` that is
    /// remembered, and in its hands.
    pub(crate) held_by: Option<Arc<str>>,
}

impl Plan {
    pub(crate) fn lease_lost(&self) -> Error {
        let transition = self.links.first().map_or("", |link| link.transition);
        Error::LeaseLost { record: self.record, transition }
    }

    pub(crate) fn change<'a>(&'a self, before: Standing<'a>, props: Option<&'a str>) -> Change<'a> {
        let Self { record, id, ref links, ref notes, completes, destroys, timing, .. } = *self;
        let held_by = self.held_by.as_deref();
        let born = None;
        Change {
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
        }
    }
}

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
    /// Returns where the row stands and the props if they changed.
    fn prepare(&mut self, conn: &mut C) -> Result<(Standing<'static>, Option<String>)>;

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
    dyn FnMut(&'static str, &'static [&'static str]) -> Result<Option<String>> + 'a;

/// What a transition did.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) seq: i64,
    pub(crate) attempts: i32,
    /// What the clock said; `None` for a record that was destroyed.
    pub(crate) stamp: Option<Stamp>,
    pub(crate) mark: Mark,
}

/// Runs a transition: all of it, or nothing.
pub(crate) fn apply<C: Dialect>(
    conn: &mut C,
    plan: &Plan,
    subject: &mut dyn Subject<C>,
) -> Result<Applied> {
    let alone = autocommit::possible(conn);
    if alone && let Some(applied) = write_at_once(conn, plan, subject)? {
        return Ok(applied);
    }
    let run = if subject.is_plain() { transaction::run } else { transaction::run_closures };
    run(conn, &mut |conn| {
        // the fast path: if the record has not moved on since it was read, its row is as we know it
        let before = subject.remembered().filter(|_| !alone && !plan.destroys);
        // an inner transaction may see what was there when the outer one first read
        let mut has_read = conn.depth().is_ok_and(|depth| depth > 1);
        if let Some(before) = before
            && readable(read_loads(
                conn,
                plan,
                subject,
                Loads { remembered: true, has_read, seq: before.seq },
            ))?
            && let Some(applied) =
                write(conn, &Change { born: subject.born(), ..plan.change(before, None) })?
        {
            return Ok(applied);
        }
        has_read |= before.is_some();
        let row = lock(conn, plan)?;
        if plan.held_by.is_some() && subject.remembered().is_none_or(|before| before.seq != row.seq)
        {
            return Err(plan.lease_lost());
        }
        subject.refresh(row)?;
        let (before, props) = subject.prepare(conn)?;
        let loads = Loads { remembered: false, has_read, seq: before.seq };
        read_loads(conn, plan, subject, loads)?;
        let written = write(conn, &plan.change(before, props.as_deref()))?;
        if written.is_some()
            && !plan.destroys
            && let Some(labels) = subject.labels()?
        {
            labels::replace(conn, plan.record, plan.id, &labels)?;
        }
        // under the lock nobody else can move it: the caller's own `within` has
        written.ok_or_else(|| moved_within(conn, plan, before))
    })
    .map_err(|error| error.about(plan.record))
}

/// The fast path outside a transaction, where one statement does it all. `None` if it was not to
/// be: nothing is written then.
///
/// What is loaded is read and decoded before, so that a failure to decode leaves the record alone.
/// It cannot change in between: artefacts come with transitions, and the statement does nothing if
/// there was one.
fn write_at_once<C: Dialect>(
    conn: &mut C,
    plan: &Plan,
    subject: &mut dyn Subject<C>,
) -> Result<Option<Applied>> {
    let Some(before) = subject.remembered().filter(|_| !plan.destroys) else { return Ok(None) };
    let loads = Loads { remembered: true, has_read: false, seq: before.seq };
    let loaded = read_loads(conn, plan, subject, loads);
    // whoever is in the way is waited for under the lock
    if loaded.as_ref().is_err_and(Error::is_conflict) || !readable(loaded)? {
        return Ok(None);
    }
    let change = Change { born: subject.born(), ..plan.change(before, None) };
    let mark = mark(&change);
    let stamp = autocommit::run(conn, &mark, |conn| conn.write(&change))?;
    Ok(stamp.map(|stamp| {
        notify::committed(Notification::of(&change));
        applied(&change, Some(stamp), mark)
    }))
}

/// Whether the artefacts could be read without the row's lock. If the record has moved on, only
/// what is read under the lock counts.
fn readable(loaded: Result<()>) -> Result<bool> {
    match loaded {
        Ok(()) => Ok(true),
        // whoever was in the way is waited for under the lock
        Err(Error::MissingArtefact { .. } | Error::Decode { .. } | Error::Conflict { .. }) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn lock<C: Dialect>(conn: &mut C, plan: &Plan) -> Result<FlowRow> {
    let rows = conn
        .flows::<LockFlow>(&[Bind::Int(plan.id), Bind::Text(plan.record.flow)])
        .map_err(|error| explain(conn, Some(plan.record), error))?;
    let missing = || {
        if plan.held_by.is_some() {
            plan.lease_lost()
        } else {
            Error::NotFound { record: plan.record }
        }
    };
    rows.into_iter().next().ok_or_else(missing)
}

/// Writes the row, its history and its artefacts. `None` if the row is not at `change.before`.
pub(crate) fn write<C: Dialect>(conn: &mut C, change: &Change<'_>) -> Result<Option<Applied>> {
    let written = if change.destroys {
        if let Some(worker) = change.held_by
            && !is_holder(conn, change.record, change.id, worker)?
        {
            return Ok(None);
        }
        let has_labels = change.links.iter().any(|link| link.has_labels);
        destroy(conn, change.id, change.before.seq, has_labels)
            .map(|destroyed| destroyed.then_some(None))
    } else {
        conn.write(change).map(|stamp| stamp.map(Some))
    };
    let written = written.map_err(|error| explain(conn, Some(change.record), error))?;
    let Some(stamp) = written else { return Ok(None) };
    let mark = note_written(conn, change);
    Ok(Some(applied(change, stamp, mark)))
}

/// Remembers a change that was written in the transaction that is open.
pub(crate) fn note_written<C: Dialect>(conn: &mut C, change: &Change<'_>) -> Mark {
    let mark = mark(change);
    scope::set_mark(conn, mark.clone(), Notification::of(change));
    mark
}

pub(crate) fn mark(change: &Change<'_>) -> Mark {
    let (seq, token) = (change.after().seq, change.notes.token.clone());
    let (destroyed, since) = (change.destroys, Instant::now());
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
        let newest = newest_row::<C, NewestArtefact, NewestArtefactAmong>(
            conn, plan.id, name, aliases, None, has_read,
        );
        let newest = newest.map_err(|error| explain(conn, Some(plan.record), error))?;
        // READ UNCOMMITTED shows what another transaction may yet undo
        Ok(newest.filter(|row| row.seq <= seq).map(|row| row.payload))
    })
}

/// The JSON of the newest artefact of this name, or of an earlier name of it.
pub(crate) fn newest_artefact<C: Dialect>(
    conn: &mut C,
    id: i64,
    name: &str,
    aliases: &[&str],
) -> diesel::QueryResult<Option<String>> {
    // an inner transaction may see what was there when the outer one first read
    let has_read = conn.depth()? > 1;
    let newest = newest_row::<C, NewestArtefact, NewestArtefactAmong>(
        conn, id, name, aliases, None, has_read,
    );
    Ok(newest?.map(|row| row.payload))
}

/// As [`newest_artefact`], if the record is of this flow: nothing holds its row against what is
/// remembered.
pub(crate) fn newest_artefact_of<C: Dialect>(
    conn: &mut C,
    flow: &str,
    id: i64,
    name: &str,
    aliases: &[&str],
) -> diesel::QueryResult<Option<String>> {
    let has_read = conn.depth()? > 1;
    let newest = newest_row::<C, NewestArtefactOf, NewestArtefactAmongOf>(
        conn,
        id,
        name,
        aliases,
        Some(flow),
        has_read,
    );
    Ok(newest?.map(|row| row.payload))
}

fn newest_row<C: Dialect, Only: Statement, Among: Statement>(
    conn: &mut C,
    id: i64,
    name: &str,
    aliases: &[&str],
    flow: Option<&str>,
    has_read: bool,
) -> diesel::QueryResult<Option<ArtefactRow>> {
    let names;
    let is_only = aliases.is_empty();
    let name = if is_only {
        name
    } else {
        names = names_json(std::iter::once(name).chain(aliases.iter().copied()));
        &names
    };
    let binds = [Bind::Int(id), Bind::Text(name), Bind::Maybe(flow)];
    let binds = if flow.is_some() { &binds[..] } else { &binds[..2] };
    let rows = match (is_only, has_read) {
        (true, false) => conn.artefacts::<Only>(binds)?,
        (true, true) => conn.artefacts::<Current<Only>>(binds)?,
        (false, false) => conn.artefacts::<Among>(binds)?,
        (false, true) => conn.artefacts::<Current<Among>>(binds)?,
    };
    Ok(rows.into_iter().next())
}

/// Stored names as a JSON array.
pub(crate) fn names_json<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(names).to_string()
}

fn moved_within<C: Dialect>(conn: &mut C, plan: &Plan, before: Standing<'static>) -> Error {
    let found = match lock(conn, plan) {
        Ok(row) if row.seq == before.seq => return unmoved(conn, plan),
        Ok(row) => row.state,
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
    let rows = conn.counts::<HolderOf>(&[Bind::Int(id)]);
    let rows = rows.map_err(|error| explain(conn, Some(record), error))?;
    Ok(rows.first().is_some_and(|row| row.label == worker))
}
