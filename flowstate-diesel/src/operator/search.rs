//! Lists: going through records until a page is full, along indexes, and no further than a bound.

use serde::Serialize;

use super::error::{Error, Result};
use super::filter::Filter;
use super::lane::{Cursor, Part, lanes, parts, wanted_lanes, wants_stuck};
use super::overview::without_numbers;
use super::reading::reading;
use super::registry::Registry;
use super::standing::{Standing, add_errors};
use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::operate::{LaneRow, Operate, StandingRow};
use crate::dialect::sql::operator::{Stand, StandingsByKey, StandingsByLabel};
use crate::dialect::sql::statement::{Bind, Statement};
use crate::transaction::explain::Explain as _;

/// How many rows one call looks at, at the most: what is rare among many is found over several
/// calls, none of which takes long.
const SEARCHED_AT_ONCE: usize = 2_000;

/// How many rows a statement takes as long as, whatever it finds.
const STATEMENT: usize = 10;

/// How many rows are read in one statement.
const CHUNK: usize = 500;

/// A page of records: flow by flow, state by state, of each first those that are due, the longest due
/// first, then those that are claimed, then the rest in the order of their creation.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Listing {
    /// The records.
    pub records: Vec<Standing>,
    /// Where to go on; `None` at the end. A page may hold fewer records than were asked for, and
    /// yet not be the last.
    pub next: Option<Cursor>,
}

/// Lists records, up to `limit` of them after `after`.
///
/// One call reads at most some 2,000 rows, along an index: it takes about as long for ten million
/// records as for ten thousand.
///
/// # Errors
/// [`Error::Input`]: a label without its flow. [`Error::Failed`].
pub fn list(
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
    conn: &mut impl AsStore,
) -> Result<Listing> {
    let conn = conn.as_store();
    let registry = Registry::load(conn)?;
    reading(conn, |conn| {
        let (records, next) = Search::new(filter, &registry, limit).run(conn, after)?;
        Ok(Listing { records, next })
    })
}

/// A search for a page of records.
struct Search<'a> {
    filter: &'a Filter,
    registry: &'a Registry,
    limit: usize,
    found: Vec<Standing>,
    /// How many rows may still be looked at.
    left: usize,
}

impl<'a> Search<'a> {
    fn new(filter: &'a Filter, registry: &'a Registry, limit: usize) -> Self {
        let (limit, found) = (limit.max(1), Vec::new());
        Self { filter, registry, limit, found, left: SEARCHED_AT_ONCE }
    }

    /// The records of the page, and where the next one begins.
    fn run<C: Dialect + Operate>(
        mut self,
        conn: &mut C,
        after: Option<&Cursor>,
    ) -> Result<(Vec<Standing>, Option<Cursor>)> {
        let filter = self.filter;
        let next = if !filter.ids.is_empty() {
            self.among(conn, after.map_or(i64::MIN, |after| after.id))?
        } else if let Some(key) = &filter.key {
            self.by_key(conn, key).map(|()| None)?
        } else if let Some((name, value)) = &filter.label {
            let Some(flow) = &filter.flow else {
                let problem = "a label belongs to a flow: say which, with `--flow`".to_owned();
                return Err(Error::Input { problem });
            };
            self.by_label(conn, [flow, name, value], after)?
        } else {
            self.by_lane(conn, after)?
        };
        Ok((self.found, next))
    }

    /// The records with these ids, after `last`.
    fn among<C: Dialect + Operate>(&mut self, conn: &mut C, last: i64) -> Result<Option<Cursor>> {
        let mut ids = self.filter.ids.clone();
        ids.sort_unstable();
        ids.dedup();
        let mut looked = 0;
        for id in ids.into_iter().filter(|&id| id > last) {
            let rows = ask::<Stand, _>(conn, &[Bind::Int(id)])?;
            self.keep(conn, rows)?;
            looked += 1;
            if self.found.len() >= self.limit || looked >= CHUNK {
                return Ok(Some(Cursor { id, ..Cursor::default() }));
            }
        }
        Ok(None)
    }

    fn by_key<C: Dialect + Operate>(&mut self, conn: &mut C, key: &str) -> Result<()> {
        let flows = if let Some(flow) = &self.filter.flow {
            vec![flow.clone()]
        } else {
            let lanes = lanes(conn, None)?.into_iter();
            let mut flows: Vec<_> = lanes.map(|lane| lane.flow).collect();
            flows.dedup();
            flows
        };
        for flow in flows {
            let rows = ask::<StandingsByKey, _>(
                conn,
                &[Bind::Text(&flow), Bind::Text(key), Bind::Text(&flow), Bind::Text(key)],
            )?;
            self.keep(conn, rows)?;
        }
        Ok(())
    }

    fn by_label<C: Dialect + Operate>(
        &mut self,
        conn: &mut C,
        [flow, name, value]: [&String; 3],
        after: Option<&Cursor>,
    ) -> Result<Option<Cursor>> {
        let mut last = after.map_or(i64::MIN, |after| after.id);
        loop {
            let chunk = self.chunk();
            let binds = [
                Bind::Text(flow),
                Bind::Text(name),
                Bind::Text(value),
                Bind::Int(last),
                Bind::Int(rows_of(chunk)),
            ];
            let rows = ask::<StandingsByLabel, _>(conn, &binds)?;
            self.left = self.left.saturating_sub(rows.len() + STATEMENT);
            let (read, end) = (rows.len(), rows.last().map(|row| row.id));
            self.keep(conn, rows)?;
            if let Some(full) = self.cut() {
                return Ok(Some(full));
            }
            match end {
                Some(end) if read == chunk => last = end,
                _ => return Ok(None),
            }
            if self.left == 0 {
                return Ok(Some(Cursor { flow: flow.clone(), id: last, ..Cursor::default() }));
            }
        }
    }

    /// Lane by lane, part by part.
    fn by_lane<C: Dialect + Operate>(
        &mut self,
        conn: &mut C,
        after: Option<&Cursor>,
    ) -> Result<Option<Cursor>> {
        for lane in wanted_lanes(conn, self.filter, self.registry)? {
            let place = (&lane.flow, &lane.state);
            if after.is_some_and(|after| place < (&after.flow, &after.state)) {
                continue;
            }
            let here = after.filter(|after| place == (&after.flow, &after.state));
            let parts = parts(&lane, self.filter, self.registry);
            let is_before =
                |part: &Part| here.is_some_and(|here| (*part as u8) < (here.part as u8));
            for part in parts.into_iter().skip_while(is_before) {
                let begins = here.filter(|here| here.part == part);
                let next = self.part(conn, &lane, part, begins)?;
                if next.is_some() {
                    return Ok(next);
                }
            }
        }
        Ok(None)
    }

    /// The rows of one part. Returns where to go on, if the page or the search ends in it.
    fn part<C: Dialect + Operate>(
        &mut self,
        conn: &mut C,
        lane: &LaneRow,
        part: Part,
        begins: Option<&Cursor>,
    ) -> Result<Option<Cursor>> {
        let mut cursor = begins.cloned().unwrap_or_else(|| part.first(lane));
        let only_over =
            wants_stuck(self.filter) && !self.registry.is_unknown(&lane.flow, &lane.state);
        loop {
            if self.left == 0 {
                return Ok(Some(cursor));
            }
            let chunk = self.chunk();
            let rows = part.read(conn, &cursor, rows_of(chunk))?;
            self.left = self.left.saturating_sub(rows.len() + STATEMENT);
            let (read, last) = (rows.len(), rows.last().cloned().map(Standing::read).transpose()?);
            self.keep(conn, rows)?;
            if let Some(full) = self.cut() {
                return Ok(Some(full));
            }
            match last {
                Some(last)
                    if read == chunk && !(only_over && Part::ends_after(&last, self.registry)) =>
                {
                    cursor = Cursor::of(&last);
                }
                _ => return Ok(None),
            }
        }
    }

    /// How many rows to read next: a page that is plain reads what it shows, and one row more.
    fn chunk(&self) -> usize {
        let filter = self.filter;
        let is_plain = filter.error.is_none()
            && filter.error_kind.is_none()
            && filter.in_state_for.is_none()
            && filter.stuck_because.is_none();
        let page = (self.limit + 1).saturating_sub(self.found.len()).max(1);
        if is_plain { CHUNK.min(page) } else { CHUNK.min(self.left.max(1)) }
    }

    /// Keeps what is wanted of these rows.
    fn keep<C: Dialect + Operate>(&mut self, conn: &mut C, rows: Vec<StandingRow>) -> Result<()> {
        let mut wanted = rows.into_iter().map(Standing::read).collect::<Result<Vec<_>>>()?;
        wanted.retain(|standing| self.wants(standing));
        add_errors(conn, &mut wanted)?;
        let Filter { stuck, stuck_because, .. } = self.filter;
        for standing in &mut wanted {
            standing.stuck = standing.why_stuck(self.registry);
        }
        wanted.retain(|standing| {
            (!stuck || standing.stuck.is_some())
                && (stuck_because.is_none() || *stuck_because == standing.stuck)
        });
        if let Some(text) = &self.filter.error {
            wanted.retain(|standing| {
                standing.error.as_ref().is_some_and(|error| error.contains(text))
            });
        }
        if let Some(kind) = &self.filter.error_kind {
            wanted.retain(|standing| {
                standing.error.as_ref().is_some_and(|error| without_numbers(error) == *kind)
            });
        }
        self.found.append(&mut wanted);
        Ok(())
    }

    fn wants(&self, standing: &Standing) -> bool {
        let Filter { flow, states, in_state_for, .. } = self.filter;
        let age = (self.registry.now - standing.updated_at).to_std().unwrap_or_default();
        flow.as_ref().is_none_or(|flow| *flow == standing.flow)
            && (states.is_empty() || states.contains(&standing.state))
            && in_state_for.is_none_or(|least| age >= least)
    }

    /// Ends the page where it is full.
    fn cut(&mut self) -> Option<Cursor> {
        if self.found.len() <= self.limit {
            return None;
        }
        self.found.truncate(self.limit);
        self.found.last().map(Cursor::of)
    }
}

fn ask<S: Statement, C: Dialect + Operate>(
    conn: &mut C,
    binds: &[Bind<'_>],
) -> Result<Vec<StandingRow>> {
    Ok(conn.standings::<S>(binds).explain(conn)?)
}

fn rows_of(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
