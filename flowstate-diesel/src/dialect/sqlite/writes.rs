//! Writes of SQLite.

use std::borrow::Cow;

use diesel::{OptionalExtension, QueryResult, RunQueryDsl, SqliteConnection};

use super::statements::{
    Advance, AdvanceOnce, ExtendLeases, InsertFlow, LastTaken, NoteClaims, NoteCreations,
    TakeClaims,
};
use crate::dialect::change::{Change, Claims, NewFlow};
use crate::dialect::fallback::{self, Fallback, RARE, Taken, advance_binds};
use crate::dialect::rows::{
    ClaimedRow, InsertedColumns, InsertedRow, Stamp, StampColumns, StampRow,
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
        fallback::settle(self, changes.iter())
    }

    fn extend_leases(&mut self, worker: &str, leases: &str) -> QueryResult<usize> {
        self.run::<ExtendLeases>(&[Bind::Text(leases), Bind::Text(worker)])
    }
}

impl Fallback for SqliteConnection {
    type NoteCreations = NoteCreations;
    type NoteClaims = NoteClaims;
    type LastTaken = LastTaken;

    fn advance(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
        let timing = change.timing;
        let lease = timing.lease.map(|(micros, _)| micros);
        let [due, lease, deadline] = [timing.due_in, lease, timing.deadline_in].map(seconds);
        let times = [&due, &lease, &deadline].map(|time| Bind::Maybe(time.as_deref()));
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
        let [due_in, deadline] = [flow.timing.due_in, flow.timing.deadline_in].map(seconds);
        let times = [due_at.as_deref(), due_in.as_deref(), deadline.as_deref()];
        let binds = flow.binds(times.map(Bind::Maybe));
        Bound::<InsertFlow, InsertedColumns>::new(&binds).get_result(self).optional()
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
