//! Which records are wanted, a page at a time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::reading::reading;
use super::registry::Registry;
use super::standing::{Standing, Stuck};
use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::operate::{Operate, StandingRow};
use crate::dialect::sql::operator::{
    ErrorsOf, NextFlow, NextState, Stand, StandingsByKey, StandingsByLabel, StandingsInState,
};
use crate::dialect::sql::statement::{Bind, Statement};
use crate::transaction::explain::explain;

/// How many rows one call looks at, at the most: what is rare among many is found over several
/// calls, none of which takes long.
const SEARCHED_AT_ONCE: usize = 5_000;

/// How many rows are read in one statement.
const CHUNK: usize = 500;

/// Which records are wanted. All that is said must hold; nothing said means every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these ids. If there are any, the tables are not searched.
    pub ids: Vec<i64>,
    /// Only records of the flow with this stored name.
    pub flow: Option<String>,
    /// Only records in these states; empty for any.
    pub states: Vec<String>,
    /// Only the record with this idempotency key.
    pub key: Option<String>,
    /// Only records with this label, by its name, and its value. Needs `flow`.
    pub label: Option<(String, String)>,
    /// Only records whose newest transition failed with an error that contains this text.
    pub error: Option<String>,
    /// Only records that have been in their state for so long.
    pub in_state_for: Option<Duration>,
    /// Only records that nothing will move.
    pub stuck: bool,
    /// Only records that are stuck for this reason.
    pub stuck_because: Option<Stuck>,
}

/// Where a page ends and the next one begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    flow: String,
    state: String,
    id: i64,
}

/// A page of records: flow by flow, state by state, the oldest first.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Listing {
    /// The records.
    pub records: Vec<Standing>,
    /// Where to go on; `None` at the end. A page may hold fewer records than were asked for, and
    /// yet not be the last.
    pub next: Option<Cursor>,
}

impl Cursor {
    /// The text form, for addresses and commands.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { flow, state, id } = self;
        format!("{id}/{}/{flow}/{state}", flow.len())
    }

    /// Reads the text form. `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let id = parts.next()?.parse().ok()?;
        let length: usize = parts.next()?.parse().ok()?;
        let (flow, state) = parts.next()?.split_at_checked(length)?;
        let state = state.strip_prefix('/')?;
        Some(Self { flow: flow.to_owned(), state: state.to_owned(), id })
    }
}

/// Lists records, up to `limit` of them after `after`.
///
/// One call reads at most some 5,000 rows, along an index: it takes about as long for ten million
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
        let (limit, found) = (limit.max(1), Vec::new());
        let mut search = Search { filter, registry: &registry, limit, found };
        let next = search.run(conn, after)?;
        Ok(Listing { records: search.found, next })
    })
}

struct Search<'a> {
    filter: &'a Filter,
    registry: &'a Registry,
    limit: usize,
    found: Vec<Standing>,
}

impl Search<'_> {
    fn run<C: Dialect + Operate>(
        &mut self,
        conn: &mut C,
        after: Option<&Cursor>,
    ) -> Result<Option<Cursor>> {
        let filter = self.filter;
        if !filter.ids.is_empty() {
            let last = after.map_or(i64::MIN, |after| after.id);
            return self.among(conn, last);
        }
        if let Some(key) = &filter.key {
            return self.by_key(conn, key).map(|()| None);
        }
        if let Some((name, value)) = &filter.label {
            let Some(flow) = &filter.flow else {
                let problem = "a label belongs to a flow: say which, with `--flow`".to_owned();
                return Err(Error::Input { problem });
            };
            return self.by_label(conn, [flow, name, value], after);
        }
        self.by_lane(conn, after)
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
        let mut flow = self.filter.flow.clone();
        let only = flow.is_some();
        if !only {
            flow = next_flow(conn, "")?;
        }
        while let Some(name) = flow {
            let rows = ask::<StandingsByKey, _>(conn, &[Bind::Text(&name), Bind::Text(key)])?;
            self.keep(conn, rows)?;
            flow = if only { None } else { next_flow(conn, &name)? };
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
        for _ in 0..SEARCHED_AT_ONCE / CHUNK {
            let binds = [
                Bind::Text(flow),
                Bind::Text(name),
                Bind::Text(value),
                Bind::Int(last),
                Bind::Int(rows_of(CHUNK)),
            ];
            let rows = ask::<StandingsByLabel, _>(conn, &binds)?;
            let Some(end) = rows.last().map(|row| row.id) else { return Ok(None) };
            last = end;
            self.keep(conn, rows)?;
            if let Some(full) = self.cut() {
                return Ok(Some(full));
            }
        }
        Ok(Some(Cursor { flow: flow.clone(), state: String::new(), id: last }))
    }

    /// State by state: a lane is the records of a flow in a state, by id.
    fn by_lane<C: Dialect + Operate>(
        &mut self,
        conn: &mut C,
        after: Option<&Cursor>,
    ) -> Result<Option<Cursor>> {
        let mut at = after.cloned();
        if at.is_none() {
            at = self.next_lane(conn, None)?;
        }
        let mut budget = SEARCHED_AT_ONCE;
        while let Some(cursor) = at {
            if budget == 0 {
                return Ok(Some(cursor));
            }
            // a page that is plain reads what it shows, and one row more
            let chunk = CHUNK.min(budget).min(if self.is_plain() { self.limit + 1 } else { CHUNK });
            let binds = [
                Bind::Text(&cursor.flow),
                Bind::Text(&cursor.state),
                Bind::Int(cursor.id),
                Bind::Int(rows_of(chunk)),
            ];
            let rows = ask::<StandingsInState, _>(conn, &binds)?;
            budget = budget.saturating_sub(rows.len().max(1));
            let (read, last) = (rows.len(), rows.last().map(|row| row.id));
            self.keep(conn, rows)?;
            if let Some(full) = self.cut() {
                return Ok(Some(full));
            }
            at = match last {
                Some(id) if read == chunk => Some(Cursor { id, ..cursor }),
                _ => self.next_lane(conn, Some(&cursor))?,
            };
        }
        Ok(None)
    }

    fn is_plain(&self) -> bool {
        let Filter { error, in_state_for, stuck, stuck_because, .. } = self.filter;
        error.is_none() && in_state_for.is_none() && !stuck && stuck_because.is_none()
    }

    /// Where the next wanted lane begins.
    fn next_lane<C: Dialect>(
        &self,
        conn: &mut C,
        after: Option<&Cursor>,
    ) -> Result<Option<Cursor>> {
        let (mut flow, mut state) = match (after, &self.filter.flow) {
            (Some(after), _) => (Some(after.flow.clone()), after.state.clone()),
            (None, Some(flow)) => (Some(flow.clone()), String::new()),
            (None, None) => (next_flow(conn, "")?, String::new()),
        };
        while let Some(name) = flow {
            while let Some(next) = next_state(conn, &name, &state)? {
                if self.may_hold(&name, &next) {
                    return Ok(Some(Cursor { flow: name, state: next, id: i64::MIN }));
                }
                state = next;
            }
            state.clear();
            flow = if self.filter.flow.is_some() { None } else { next_flow(conn, &name)? };
        }
        Ok(None)
    }

    /// Whether a wanted record may be in this state.
    fn may_hold(&self, flow: &str, state: &str) -> bool {
        let Filter { states, stuck, stuck_because, .. } = self.filter;
        let wants_stuck = *stuck || stuck_because.is_some();
        (states.is_empty() || states.iter().any(|wanted| wanted == state))
            && !(wants_stuck && self.registry.is_completed(flow, state))
    }

    /// Keeps what is wanted of these rows.
    fn keep<C: Dialect>(&mut self, conn: &mut C, rows: Vec<StandingRow>) -> Result<()> {
        let standings = rows.into_iter().map(Standing::read).collect::<Result<Vec<_>>>()?;
        let registry = self.registry;
        let wanted = standings.into_iter().map(|mut standing| {
            standing.stuck = standing.why_stuck(registry);
            standing
        });
        let mut wanted: Vec<_> = wanted.filter(|standing| self.wants(standing)).collect();
        add_errors(conn, &mut wanted)?;
        if let Some(text) = &self.filter.error {
            wanted.retain(|standing| {
                standing.error.as_ref().is_some_and(|error| error.contains(text))
            });
        }
        self.found.append(&mut wanted);
        Ok(())
    }

    fn wants(&self, standing: &Standing) -> bool {
        let Filter { flow, states, in_state_for, stuck, stuck_because, .. } = self.filter;
        let age = (self.registry.now - standing.updated_at).to_std().unwrap_or_default();
        flow.as_ref().is_none_or(|flow| *flow == standing.flow)
            && (states.is_empty() || states.contains(&standing.state))
            && in_state_for.is_none_or(|least| age >= least)
            && (!stuck || standing.stuck.is_some())
            && (stuck_because.is_none() || *stuck_because == standing.stuck)
    }

    /// Ends the page where it is full.
    fn cut(&mut self) -> Option<Cursor> {
        if self.found.len() <= self.limit {
            return None;
        }
        self.found.truncate(self.limit);
        let Standing { flow, state, id, .. } = self.found.last()?;
        Some(Cursor { flow: flow.clone(), state: state.clone(), id: *id })
    }
}

/// Why the newest transitions of records failed.
pub(crate) fn add_errors<C: Dialect>(conn: &mut C, standings: &mut [Standing]) -> Result<()> {
    if standings.is_empty() {
        return Ok(());
    }
    let ids = standings.iter().map(|standing| standing.id).collect::<serde_json::Value>();
    let ids = ids.to_string();
    let errors = conn.counts::<ErrorsOf>(&[Bind::Text(&ids)]);
    for row in errors.map_err(|error| explain(conn, None, error))? {
        let standing = standings.iter_mut().find(|standing| standing.id == row.number);
        if let Some(standing) = standing {
            standing.error = Some(row.label);
        }
    }
    Ok(())
}

/// The flow that follows this name, among those that have records.
pub(crate) fn next_flow<C: Dialect>(conn: &mut C, after: &str) -> Result<Option<String>> {
    let rows = conn.counts::<NextFlow>(&[Bind::Text(after)]);
    let rows = rows.map_err(|error| explain(conn, None, error))?;
    Ok(rows.into_iter().next().map(|row| row.label))
}

/// The state of a flow that follows this name, among those that have records.
pub(crate) fn next_state<C: Dialect>(
    conn: &mut C,
    flow: &str,
    after: &str,
) -> Result<Option<String>> {
    let rows = conn.counts::<NextState>(&[Bind::Text(flow), Bind::Text(after)]);
    let rows = rows.map_err(|error| explain(conn, None, error))?;
    Ok(rows.into_iter().next().map(|row| row.label))
}

fn ask<S: Statement, C: Dialect + Operate>(
    conn: &mut C,
    binds: &[Bind<'_>],
) -> Result<Vec<StandingRow>> {
    conn.standings::<S>(binds).map_err(|error| explain(conn, None, error).into())
}

fn rows_of(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
