//! Writes of SQLite.

use std::borrow::Cow;
use std::collections::HashSet;

use diesel::{OptionalExtension, QueryResult, RunQueryDsl, SqliteConnection};
use serde_json::{Value, json};

use super::statements::{
    Advance, AdvanceAlike, AdvanceOnce, ExtendLeases, InsertFlow, InsertSingle, LastTaken,
    NoteAlike, NoteClaims, NoteCreations, NoteVisits, TakeClaims,
};
use crate::dialect::change::{Change, Claims, Link, NewFlow, Notes};
use crate::dialect::fallback::{self, Fallback, RARE, Taken, advance_binds, ids_json};
use crate::dialect::rows::{
    ClaimedRow, CountRow, FlowRow, InsertedColumns, InsertedRow, Stamp, StampColumns, StampRow,
};
use crate::dialect::sql::statement::{Bind, Bound};
use crate::dialect::{Statements as _, Writes};
use crate::text::time;

impl Writes for SqliteConnection {
    fn write(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        fallback::write(self, change)
    }

    fn insert(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        fallback::insert(self, flow)
    }

    fn insert_many(&mut self, flow: &NewFlow<'_>, all: &[String]) -> QueryResult<Vec<InsertedRow>> {
        fallback::insert_many(self, flow, all)
    }

    fn claim(&mut self, claims: &Claims<'_>) -> QueryResult<Vec<ClaimedRow>> {
        fallback::claim(self, claims)
    }

    fn settle(&mut self, changes: &[Change<'_>]) -> QueryResult<Vec<i64>> {
        let mut settled = Vec::with_capacity(changes.len());
        for alike in changes.chunk_by(is_alike) {
            settled.extend(match alike {
                [first, _, ..] => settle_alike(self, first, alike)?,
                few => fallback::settle(self, few.iter())?,
            });
        }
        Ok(settled)
    }

    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize> {
        self.run::<ExtendLeases>(&[Bind::Text(leases), Bind::Text(worker)])
    }
}

impl Fallback for SqliteConnection {
    type NoteCreations = NoteCreations;
    type NoteClaims = NoteClaims;
    type NoteVisits = NoteVisits;

    fn advance(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        let timing = change.landing.timing;
        let [due, deadline] = [timing.due_in, timing.deadline_in].map(seconds);
        let times = [&due, &deadline].map(|time| Bind::Maybe(time.as_deref()));
        let born = change.born.map(time::write);
        // without the century
        let born = born.as_deref().and_then(|born| born.get(2..));
        let binds = advance_binds(change, times, Bind::Maybe(born));
        let stamp = if change.is_usual() {
            Bound::<AdvanceOnce, StampColumns>::new(&binds[RARE..]).get_result(self)
        } else {
            Bound::<Advance, StampColumns>::new(&binds).get_result(self)
        };
        Ok(stamp.optional()?.map(Stamp::Read))
    }

    fn insert_row(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>> {
        let due_at = flow.due_at.map(time::write);
        let timing = flow.landing.timing;
        let [due_in, deadline] = [timing.due_in, timing.deadline_in].map(seconds);
        let times = [due_at.as_deref(), due_in.as_deref(), deadline.as_deref()];
        let binds = flow.binds(times.map(Bind::Maybe));
        if flow.is_single {
            Bound::<InsertSingle, InsertedColumns>::new(&binds).get_result(self).optional()
        } else {
            Bound::<InsertFlow, InsertedColumns>::new(&binds).get_result(self).optional()
        }
    }

    fn last_taken(
        &mut self,
        finishes: &str,
        start: &str,
        rows: &[FlowRow],
    ) -> QueryResult<Vec<CountRow>> {
        let places = rows.iter().map(|row| json!([row.id, row.seq - Claims::LOOKS_BACK]));
        let places = places.collect::<Value>().to_string();
        self.counts::<LastTaken>(&[finishes, start, &places].map(Bind::Text))
    }

    fn take(&mut self, claims: &Claims<'_>, ids: &str) -> QueryResult<Taken> {
        let [lease, deadline] = [Some(claims.lease.0), claims.deadline_in].map(seconds);
        let taken: Vec<StampRow> = Bound::<TakeClaims, StampColumns>::new(&[
            Bind::Text(claims.link.to),
            Bind::Maybe(lease.as_deref()),
            Bind::Text(claims.lease.1),
            Bind::Maybe(deadline.as_deref()),
            Bind::Text(ids),
        ])
        .load(self)?;
        let rows = taken.len();
        Ok(Taken { rows, at: taken.into_iter().next().map(|row| row.updated_at) })
    }
}

/// Whether two changes can be written together: they move different records of a flow in the same way,
/// and note nothing but that. Their artefacts may differ.
fn is_alike(one: &Change<'_>, other: &Change<'_>) -> bool {
    fn is_plain(change: &Change<'_>) -> bool {
        let Notes { error, actor, metadata, .. } = change.notes;
        let notes = [error, actor, metadata];
        change.is_usual() && change.born.is_none() && notes.iter().all(|note| note.is_none())
    }
    let links = |link: &Link| (link.transition, link.to);
    is_plain(one)
        && is_plain(other)
        && one.record.flow == other.record.flow
        && (one.before, one.held_by) == (other.before, other.held_by)
        && one.landing == other.landing
        && one.links.iter().map(links).eq(other.links.iter().map(links))
}

/// Ends claims that are [alike](is_alike): a statement costs as much to run as what it does to
/// one record. Returns the ids of those that were still held.
fn settle_alike(
    conn: &mut SqliteConnection,
    first: &Change<'_>,
    alike: &[Change<'_>],
) -> QueryResult<Vec<i64>> {
    let due = seconds(first.landing.timing.due_in);
    let after = first.after();
    let moved = conn.counts::<AdvanceAlike>(&[
        Bind::Text(after.state),
        Bind::Int(after.seq),
        Bind::Int(after.attempts.into()),
        Bind::Maybe(due.as_deref()),
        first.landing.completes.into(),
        after.is_error.into(),
        Bind::Text(&ids_json(alike.iter().map(|change| change.id))),
        Bind::Int(first.before.seq),
        Bind::Text(first.record.flow),
        Bind::Maybe(first.held_by),
    ])?;
    let moved: HashSet<_> = moved.into_iter().map(|row| row.number).collect();
    let moved: Vec<_> = alike.iter().filter(|change| moved.contains(&change.id)).collect();
    let tokens = moved.iter().map(|change| (change.id.to_string(), &*change.notes.token));
    let tokens = tokens.collect::<Value>().to_string();
    for entry in first.entries() {
        let [transition, from, to] =
            [entry.link.transition, entry.from, entry.link.to].map(Bind::Text);
        let (seq, attempt) = (Bind::Int(entry.seq), Bind::Int(entry.attempt.into()));
        conn.run::<NoteAlike>(&[seq, transition, from, to, attempt, Bind::Text(&tokens)])?;
    }
    for change in &moved {
        for entry in change.entries() {
            fallback::keep_artefacts(conn, change.id, &entry)?;
        }
    }
    Ok(moved.into_iter().map(|change| change.id).collect())
}

/// Microseconds as a modifier of SQLite's time functions. The usual one, none, takes no allocation.
fn seconds(micros: Option<i64>) -> Option<Cow<'static, str>> {
    match micros? {
        0 => Some("0 seconds".into()),
        micros => {
            let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
            Some(format!("{whole}.{part:06} seconds").into())
        }
    }
}
