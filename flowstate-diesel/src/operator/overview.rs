//! Numbers: how many records stand where, what is stuck, what fails, and what has moved of late.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::error::{Error, Result};
use super::filter::{next_flow, next_state};
use super::reading::reading;
use super::registry::Registry;
use super::standing::PATIENCE;
use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::operate::{NumbersRow, Operate};
use crate::dialect::sql::operator::{
    ErrorsInState, GivenUpInState, NumbersOfState, RecordsInState, TakenLately,
};
use crate::dialect::sql::statement::Bind;
use crate::text::time;
use crate::transaction::explain::explain;

/// Counts stop here.
pub const COUNTED_AT_MOST: i64 = 10_000;

/// How many records of a state are looked at for what has moved of late: the newest.
const LATELY_AMONG: i64 = 200;

/// How many failed records of a state are grouped by their errors: the newest.
const FAILURES_AMONG: i64 = 2_000;

/// The records of one state of a flow.
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the state")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StateNumbers {
    /// The stored name of the flow.
    pub flow: String,
    /// The stored name of the state.
    pub state: String,
    /// How many records, up to the limit that was given.
    pub records: i64,
    /// Whether there are more than that.
    pub is_capped: bool,
    /// How many of those are stuck.
    pub stuck: i64,
    /// Since when the oldest is due.
    pub oldest_due_at: Option<DateTime<Utc>>,
    /// Whether the graph says that it stands for a failure.
    pub is_error: bool,
    /// Whether the graph says that the process ends here.
    pub is_completed: bool,
    /// Whether no registered graph of the flow knows it.
    pub is_unknown: bool,
}

/// Counts the records of every state, up to `most` of each (10,000 at the most).
///
/// Flows and states without records are not there. Only `flow`, if one is given.
///
/// # Errors
/// [`Error::Failed`].
pub fn numbers(
    flow: Option<&str>,
    most: i64,
    conn: &mut impl AsStore,
) -> Result<Vec<StateNumbers>> {
    let conn = conn.as_store();
    let registry = Registry::load(conn)?;
    let most = most.clamp(1, COUNTED_AT_MOST);
    reading(conn, |conn| {
        let mut all = Vec::new();
        each_state(conn, flow, |conn, flow, state| {
            all.push(of_state(conn, &registry, flow, state, most)?);
            Ok(())
        })?;
        Ok(all)
    })
}

/// A kind of error, and how many records have met it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// The stored name of the flow.
    pub flow: String,
    /// The state in which the records are.
    pub state: String,
    /// The error, its numbers left out: `order # not found`.
    pub error: String,
    /// One of them as it was kept.
    pub example: String,
    /// How many, among the newest 2,000 records of the state.
    pub records: i64,
}

/// Groups the failed records by their errors, the most frequent first.
///
/// # Errors
/// [`Error::Failed`].
pub fn failures(flow: Option<&str>, conn: &mut impl AsStore) -> Result<Vec<Failure>> {
    let conn = conn.as_store();
    let registry = Registry::load(conn)?;
    reading(conn, |conn| group(flow, &registry, conn))
}

fn group<C: Dialect>(
    flow: Option<&str>,
    registry: &Registry,
    conn: &mut C,
) -> Result<Vec<Failure>> {
    let mut groups: BTreeMap<(String, String, String), (String, i64)> = BTreeMap::new();
    each_state(conn, flow, |conn, flow, state| {
        // an unknown state may stand for a failure
        let known = registry.graph_with(flow, state).and_then(|graph| graph.state(state));
        if known.is_some_and(|state| !state.error) {
            return Ok(());
        }
        let binds = [Bind::Text(flow), Bind::Text(state), Bind::Int(FAILURES_AMONG)];
        let rows = conn.counts::<ErrorsInState>(&binds);
        for row in rows.map_err(|error| explain(conn, None, error))? {
            let key = (flow.to_owned(), state.to_owned(), without_numbers(&row.label));
            let group = groups.entry(key).or_insert((row.label, 0));
            group.1 += row.number;
        }
        Ok(())
    })?;
    let groups = groups.into_iter().map(|((flow, state, error), (example, records))| Failure {
        flow,
        state,
        error,
        example,
        records,
    });
    let mut groups: Vec<_> = groups.collect();
    groups.sort_by_key(|failure| std::cmp::Reverse(failure.records));
    Ok(groups)
}

/// How often each transition of a flow was taken in the last hour, by the 200 newest records of
/// each state: less than all where there are more.
///
/// # Errors
/// [`Error::Failed`].
pub fn lately(flow: &str, conn: &mut impl AsStore) -> Result<BTreeMap<String, i64>> {
    reading(conn.as_store(), |conn| taken(flow, conn))
}

fn taken<C: Dialect>(flow: &str, conn: &mut C) -> Result<BTreeMap<String, i64>> {
    const HOUR: i64 = 3_600_000_000;
    let mut taken = BTreeMap::new();
    each_state(conn, Some(flow), |conn, flow, state| {
        let binds = [Bind::Text(flow), Bind::Text(state), Bind::Int(LATELY_AMONG), Bind::Int(HOUR)];
        let rows = conn.counts::<TakenLately>(&binds);
        for row in rows.map_err(|error| explain(conn, None, error))? {
            *taken.entry(row.label).or_insert(0) += row.number;
        }
        Ok(())
    })?;
    Ok(taken)
}

/// Calls `with` for every flow and state that has records, in the order of their names.
fn each_state<C: Dialect>(
    conn: &mut C,
    only: Option<&str>,
    mut with: impl FnMut(&mut C, &str, &str) -> Result<()>,
) -> Result<()> {
    let mut flow = match only {
        Some(flow) => Some(flow.to_owned()),
        None => next_flow(conn, "")?,
    };
    while let Some(name) = flow {
        let mut state = String::new();
        while let Some(next) = next_state(conn, &name, &state)? {
            with(conn, &name, &next)?;
            state = next;
        }
        flow = if only.is_some() { None } else { next_flow(conn, &name)? };
    }
    Ok(())
}

fn of_state<C: Dialect + Operate>(
    conn: &mut C,
    registry: &Registry,
    flow: &str,
    state: &str,
    most: i64,
) -> Result<StateNumbers> {
    let known = registry.graph_with(flow, state).and_then(|graph| graph.state(state));
    let is_completed = known.is_some_and(|known| known.completed);
    let is_error = known.is_some_and(|known| known.error);
    let row = count(conn, flow, state, most, is_completed)?;
    let is_unknown = registry.is_unknown(flow, state);
    let records = row.records.min(most);
    // without a graph any state may stand for a failure
    let given_up = if is_error || known.is_none() { given_up(conn, flow, state, most)? } else { 0 };
    let unserved = if registry.is_unserved(flow, state) { row.overdue } else { 0 };
    let stuck = if is_unknown { records } else { given_up + row.expired + unserved };
    let oldest = row.oldest_due_at.as_deref().map(|text| {
        time::parse(text).ok_or_else(|| Error::Stored {
            what: format!("a due time of `{flow}`"),
            text: text.to_owned(),
        })
    });
    Ok(StateNumbers {
        flow: flow.to_owned(),
        state: state.to_owned(),
        records,
        is_capped: row.records > most,
        stuck: if is_completed { 0 } else { stuck.min(records) },
        oldest_due_at: oldest.transpose()?,
        is_error,
        is_completed,
        is_unknown,
    })
}

/// One more than `most` says that there are more.
fn count<C: Dialect + Operate>(
    conn: &mut C,
    flow: &str,
    state: &str,
    most: i64,
    is_completed: bool,
) -> Result<NumbersRow> {
    let [flow, state, most] = [Bind::Text(flow), Bind::Text(state), Bind::Int(most + 1)];
    let fail = |conn: &mut C, error| Error::from(explain(conn, None, error));
    if is_completed {
        let rows = conn.counts::<RecordsInState>(&[flow, state, most]);
        let rows = rows.map_err(|error| fail(conn, error))?;
        let records = rows.first().map_or(0, |row| row.number);
        return Ok(NumbersRow { records, ..NumbersRow::default() });
    }
    let patience = Bind::Int(PATIENCE.num_microseconds().unwrap_or(i64::MAX));
    let binds =
        [flow, state, most, flow, state, patience, most, flow, state, patience, most, flow, state];
    let rows = conn.numbers::<NumbersOfState>(&binds).map_err(|error| fail(conn, error))?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

/// How many of the first records of a state nothing will move after a failure.
fn given_up<C: Dialect>(conn: &mut C, flow: &str, state: &str, most: i64) -> Result<i64> {
    let binds = [Bind::Text(flow), Bind::Text(state), Bind::Int(most)];
    let rows = conn.counts::<GivenUpInState>(&binds);
    let rows = rows.map_err(|error| explain(conn, None, error))?;
    Ok(rows.first().map_or(0, |row| row.number))
}

/// An error with `#` for each number, so that `order 17 not found` is of one kind with `order 18 …`.
fn without_numbers(error: &str) -> String {
    let mut text = String::with_capacity(error.len());
    for sign in error.chars().take(500) {
        match (sign.is_ascii_digit(), text.ends_with('#')) {
            (true, true) => {}
            (true, false) => text.push('#'),
            (false, _) => text.push(sign),
        }
    }
    text
}
