//! Going through the states of a flow until a page is full, along indexes, and no further than a bound.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use flowstate::{Flow, State as _};

use super::Query;
use super::cursor::{EARLIEST, Part, QueryCursor, number};
use crate::dialect::Dialect;
use crate::dialect::connection::Store;
use crate::dialect::operate::{LaneRow, StandingRow};
use crate::dialect::sql::operator::{Clock, StandingsByLabel};
use crate::dialect::sql::statement::Bind;
use crate::error::{RecordRef, Result, What};
use crate::text::{json, time};
use crate::transaction::read::read;
use crate::transition::decode;
use crate::transition::decode::stored_names;

/// How many rows one call looks at, at the most: what is rare among many is found over several
/// calls, none of which takes long.
const SEARCHED_AT_ONCE: usize = 2_000;
/// How many rows are read in one statement, where some may not be wanted.
const CHUNK: usize = 200;

/// A name of the flow, and a stored name of a state.
type Lane = (&'static str, &'static str);

/// A query under way.
pub(super) struct Search<F: Flow> {
    query: Query<F>,
    /// The stored names of the states that are wanted.
    states: BTreeSet<&'static str>,
    /// Only what last moved before.
    moved_before: Option<String>,
    found: Vec<StandingRow>,
    /// How many rows may still be looked at.
    left: usize,
}

impl<F: Flow> Search<F> {
    pub(super) fn new<C: Dialect>(query: Query<F>, conn: &mut C) -> Result<Self> {
        let wanted = if query.states.is_empty() { F::State::ALL } else { &query.states };
        let wanted = wanted.iter().filter(|state| !query.given_up || state.is_error());
        let states = wanted.flat_map(|state| stored_names(*state)).collect();
        let moved_before = query.in_state_for.map(|least| before::<F, C>(conn, least));
        let moved_before = moved_before.transpose()?;
        Ok(Self { query, states, moved_before, found: Vec::new(), left: SEARCHED_AT_ONCE })
    }

    /// The rows of the page, and where the next one begins.
    pub(super) fn run<C: Store>(
        mut self,
        conn: &mut C,
    ) -> Result<(Vec<StandingRow>, Option<QueryCursor>)> {
        let after = self.query.after.take();
        let next = match self.query.label.take() {
            Some((label, Some(value))) => self.by_label(conn, label.name(), &value, after)?,
            // no record has the label of a prop that is none
            Some((_, None)) => None,
            None => self.by_state(conn, after)?,
        };
        Ok((self.found, next))
    }

    fn by_label<C: Store>(
        &mut self,
        conn: &mut C,
        name: &'static str,
        value: &str,
        after: Option<QueryCursor>,
    ) -> Result<Option<QueryCursor>> {
        let record = RecordRef::new::<F>();
        json::check_text(value, record, What::Label(name))?;
        let mut last = after.map_or(i64::MIN, |after| after.id);
        loop {
            let chunk = self.chunk();
            let [name, value] = [name, value].map(Bind::Text);
            let mut is_end = true;
            let mut rows = decode::under_all_names::<F, _>(|flow| {
                let binds =
                    [Bind::Text(flow), name, value, Bind::Int(last), Bind::Int(number(chunk))];
                let rows = read(conn, record, |conn| conn.standings::<StandingsByLabel>(&binds))?;
                is_end &= rows.len() < chunk;
                Ok(rows)
            })?;
            if !is_end {
                // what follows under one name may come before the last rows under another
                rows.sort_by_key(|row| row.id);
                rows.truncate(chunk);
            }
            self.left = self.left.saturating_sub(rows.len());
            for row in rows {
                last = row.id;
                if self.keep(row) {
                    return Ok(Some(QueryCursor { id: last, ..Part::Rest.start() }));
                }
            }
            match (is_end, self.left) {
                (true, _) => return Ok(None),
                (false, 0) => return Ok(Some(QueryCursor { id: last, ..Part::Rest.start() })),
                (false, _) => {}
            }
        }
    }

    /// Part by part, of each first what is first in any of the lanes.
    fn by_state<C: Store>(
        &mut self,
        conn: &mut C,
        after: Option<QueryCursor>,
    ) -> Result<Option<QueryCursor>> {
        let lanes = self.lanes_with_records(conn)?;
        let first = if self.query.given_up { Part::Rest } else { Part::Due };
        let mut cursor = after.unwrap_or_else(|| first.start());
        let first = first.max(cursor.part);
        for part in Part::ALL.into_iter().filter(|part| *part >= first) {
            if cursor.part != part {
                cursor = part.start();
            }
            let mut lanes = lanes.clone();
            while !lanes.is_empty() {
                if self.left == 0 {
                    return Ok(Some(cursor));
                }
                let (rows, more) = self.next_of(conn, &cursor, &lanes)?;
                lanes = more;
                for row in rows {
                    cursor = part.after(&row);
                    if self.keep(row) {
                        return Ok(Some(cursor));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The next rows over all these lanes, in order, and the lanes that have more of them.
    fn next_of<C: Store>(
        &mut self,
        conn: &mut C,
        cursor: &QueryCursor,
        lanes: &[Lane],
    ) -> Result<(Vec<StandingRow>, Vec<Lane>)> {
        let chunk = self.chunk();
        let (mut rows, mut more, mut end) = (Vec::new(), Vec::new(), None::<QueryCursor>);
        for &(flow, state) in lanes {
            let of_lane =
                read(conn, RecordRef::new::<F>(), |conn| cursor.read(conn, [flow, state], chunk))?;
            self.left = self.left.saturating_sub(of_lane.len());
            if let Some(last) = of_lane.last().filter(|_| of_lane.len() == chunk) {
                more.push((flow, state));
                // what follows may come before the last rows of another lane
                let last = cursor.part.after(last);
                let is_first = end.as_ref().is_none_or(|end| last.order() < end.order());
                end = if is_first { Some(last) } else { end };
            }
            rows.extend(of_lane.into_iter().map(|row| (cursor.part.after(&row), row)));
        }
        if let Some(end) = end {
            // a lane whose rows are cut off here has more of them
            let cut = rows.extract_if(.., |(at, _)| at.order() > end.order());
            let cut: BTreeSet<_> = cut.map(|(_, row)| (row.flow, row.state)).collect();
            let is_cut = |(flow, state): &&Lane| {
                cut.iter().any(|(of, at)| (&**of, &**at) == (*flow, *state))
            };
            more.extend(lanes.iter().filter(is_cut));
            more.sort_unstable();
            more.dedup();
        }
        rows.sort_by(|(one, _), (other, _)| one.order().cmp(&other.order()));
        Ok((rows.into_iter().map(|(_, row)| row).collect(), more))
    }

    /// The lanes of states that are wanted and have records.
    fn lanes_with_records<C: Store>(&self, conn: &mut C) -> Result<Vec<Lane>> {
        decode::under_all_names::<F, _>(|flow| {
            if self.query.states.len() == 1 {
                return Ok(self.states.iter().map(|state| (flow, *state)).collect());
            }
            let lanes = read(conn, RecordRef::new::<F>(), |conn| conn.lanes(Some(flow)))?;
            let known = |LaneRow { state, .. }: LaneRow| Some((flow, *self.states.get(&*state)?));
            Ok(lanes.into_iter().filter_map(known).collect())
        })
    }

    /// How many rows to read next of a state: as many as are shown, if each is wanted.
    fn chunk(&self) -> usize {
        let is_wanted = !self.query.given_up && self.moved_before.is_none();
        let page = (self.query.limit - self.found.len().min(self.query.limit)).max(1);
        if is_wanted { CHUNK.min(page) } else { CHUNK }
    }

    /// Keeps a row if it is wanted. Returns whether the page is full.
    fn keep(&mut self, row: StandingRow) -> bool {
        let gave_up = row.last_errored_at.is_some()
            && row.completed_at.is_none()
            && row.due_at.is_none()
            && row.deadline_at.is_none()
            && row.leased_until.is_none();
        let is_old = self.moved_before.as_ref().is_none_or(|before| row.updated_at <= *before);
        if self.states.contains(&*row.state) && is_old && (gave_up || !self.query.given_up) {
            self.found.push(row);
        }
        self.found.len() >= self.query.limit
    }
}

/// So long ago, by the database's clock.
fn before<F: Flow, C: Dialect>(conn: &mut C, least: Duration) -> Result<String> {
    let record = RecordRef::new::<F>();
    let rows = read(conn, record, |conn| conn.counts::<Clock>(&[]))?;
    let now = rows.into_iter().next().map(|row| row.label).unwrap_or_default();
    let now = decode::required_time(&now, record)?;
    let before = TimeDelta::from_std(least).ok().and_then(|least| now.checked_sub_signed(least));
    Ok(before.map_or_else(|| EARLIEST.to_owned(), time::write))
}

/// These records in their order, as their rows are now; without those that have left their state.
pub(super) fn records<F: Flow, C: Store>(
    conn: &mut C,
    found: &[StandingRow],
) -> Result<Vec<(i64, Result<F::Record>)>> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let record = RecordRef::new::<F>();
    let ids = found.iter().map(|row| row.id).collect::<serde_json::Value>().to_string();
    let rows = decode::under_all_names::<F, _>(|name| {
        read(conn, record, |conn| conn.flows_among(name, &ids))
    })?;
    let outcome = decode::outcome(conn, record)?;
    let mut rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    let moved = |row: &StandingRow| {
        let now = rows.remove(&row.id).filter(|now| now.state == row.state)?;
        Some((row.id, decode::record::<F>(now, outcome.clone())))
    };
    Ok(found.iter().filter_map(moved).collect())
}
