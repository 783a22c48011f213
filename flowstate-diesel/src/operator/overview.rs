//! Numbers: how many records stand where, what is stuck, what fails, and what has moved of late.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::error::{Error, Result};
use super::lane::{Part, lanes};
use super::reading::reading;
use super::registry::Registry;
use super::standing::{PATIENCE, Standing, Stuck, add_errors};
use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::operate::{LaneRow, NumbersRow, Operate};
use crate::dialect::sql::operator::CompletedLately;
use crate::dialect::sql::statement::Bind;
use crate::text::time;
use crate::transaction::explain::Explain as _;

/// Counts stop here.
pub const COUNTED_AT_MOST: i64 = 10_000;

/// How many records of a state are looked at for what has moved of late: the newest.
const LATELY_AMONG: i64 = 200;
/// How many records are looked at for what has moved of late in any flow: the newest.
const THROUGHPUT_AMONG: i64 = 200;
/// How many records of a flow are counted as completed of late.
const COMPLETED_AT_MOST: i64 = 1_000;
/// Of late, in microseconds.
const HOUR: i64 = 3_600_000_000;

/// Among how many overdue records of a state those are counted that no worker can read: those that
/// have been due longest.
const UNREADABLE_AMONG: i64 = 500;

/// How many failed records are grouped by their errors, over all states: the newest of each, and of
/// each at least as many as the second number says.
const FAILURES_AMONG: i64 = 4_000;
const FAILURES_AMONG_STATE: i64 = 20;

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
    numbers_at(flow, most, conn).map(|(_, numbers)| numbers)
}

/// How many records stand in each state of each flow, and when that was, by the database's clock.
pub(crate) fn numbers_at(
    flow: Option<&str>,
    most: i64,
    conn: &mut impl AsStore,
) -> Result<(DateTime<Utc>, Vec<StateNumbers>)> {
    let conn = conn.as_store();
    let registry = Registry::load(conn)?;
    let most = most.clamp(1, COUNTED_AT_MOST);
    let numbers = reading(conn, |conn| {
        let patience = PATIENCE.num_microseconds().unwrap_or(i64::MAX);
        // one more says that there are more
        let rows = conn.numbers(flow, most + 1, patience).explain(conn)?;
        rows.into_iter().map(|row| of_state(conn, &registry, row, most)).collect()
    })?;
    Ok((registry.now, numbers))
}

/// A kind of error, and how many records have met it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// The stored name of the flow.
    pub flow: String,
    /// The state in which the records are.
    pub state: String,
    /// The error, its numbers left out: `order # not found`. [`Filter::error_kind`] finds all of them.
    ///
    /// [`Filter::error_kind`]: super::Filter::error_kind
    pub error: String,
    /// One of them as it was kept.
    pub example: String,
    /// How many, among the newest records of the state: 4,000, divided among the states that may have
    /// failed ones.
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

fn group<C: Dialect + Operate>(
    flow: Option<&str>,
    registry: &Registry,
    conn: &mut C,
) -> Result<Vec<Failure>> {
    let mut groups: BTreeMap<(String, String, String), (String, i64)> = BTreeMap::new();
    let mut failed = lanes(conn, flow)?;
    failed.retain(|lane| registry.may_fail(&lane.flow, &lane.state));
    let count = i64::try_from(failed.len()).unwrap_or(i64::MAX);
    // of each part of a lane so many
    let among = Bind::Int((FAILURES_AMONG / count.max(1) / 2).max(FAILURES_AMONG_STATE));
    for LaneRow { flow, state } in failed {
        let lane = [&flow, &state].map(|name| Bind::Text(name));
        let binds = [lane[0], lane[1], among, lane[0], lane[1], among];
        for row in conn.errors_in_state(&binds).explain(conn)? {
            let key = (flow.clone(), state.clone(), without_numbers(&row.label));
            let group = groups.entry(key).or_insert((row.label, 0));
            group.1 += row.number;
        }
    }
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
/// each state that nobody has claimed, and the last 50 transitions of each: less than all where there
/// are more.
///
/// # Errors
/// [`Error::Failed`].
pub fn lately(flow: &str, conn: &mut impl AsStore) -> Result<BTreeMap<String, i64>> {
    reading(conn.as_store(), |conn| taken(flow, conn))
}

/// What a flow has come to in the last hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Throughput {
    /// The stored name of the flow.
    pub flow: String,
    /// How many of its records were completed, up to 1,000; those that were deleted with it, or
    /// since, are not counted.
    pub completed: i64,
    /// Whether there are more than that.
    pub is_capped: bool,
    /// How often its records moved, among the 200 records of all flows that were created last, and the
    /// last 50 moves of each: where there are more, or older records move, less than all.
    pub moved: i64,
}

/// What each of these flows, by its stored name, has come to in the last hour: [`numbers`] says which
/// have records. One of which nothing was completed and nothing has been seen to move is left out.
///
/// # Errors
/// [`Error::Failed`].
pub fn throughput(flows: &[&str], conn: &mut impl AsStore) -> Result<Vec<Throughput>> {
    reading(conn.as_store(), |conn| of_late(flows, conn))
}

fn of_late<C: Dialect + Operate>(flows: &[&str], conn: &mut C) -> Result<Vec<Throughput>> {
    let binds = [Bind::Int(THROUGHPUT_AMONG), Bind::Int(HOUR)];
    let rows = conn.moved_lately(&binds).explain(conn)?;
    let moved: BTreeMap<_, _> = rows.into_iter().map(|row| (row.label, row.number)).collect();
    let mut all = Vec::new();
    for &flow in flows {
        // one more says that there are more
        let binds = [Bind::Text(flow), Bind::Int(HOUR), Bind::Int(COMPLETED_AT_MOST + 1)];
        let rows = conn.counts::<CompletedLately>(&binds).explain(conn)?;
        let completed = rows.first().map_or(0, |row| row.number);
        let moved = moved.get(flow).copied().unwrap_or_default();
        if completed > 0 || moved > 0 {
            let is_capped = completed > COMPLETED_AT_MOST;
            let (flow, completed) = (flow.to_owned(), completed.min(COMPLETED_AT_MOST));
            all.push(Throughput { flow, completed, is_capped, moved });
        }
    }
    Ok(all)
}

fn taken<C: Dialect + Operate>(flow: &str, conn: &mut C) -> Result<BTreeMap<String, i64>> {
    let mut taken = BTreeMap::new();
    let among = Bind::Int(LATELY_AMONG / 2);
    for LaneRow { flow, state } in lanes(conn, Some(flow))? {
        let lane = [&flow, &state].map(|name| Bind::Text(name));
        let binds = [lane[0], lane[1], among, lane[0], lane[1], among, Bind::Int(HOUR)];
        for row in conn.taken_lately(&binds).explain(conn)? {
            *taken.entry(row.label).or_insert(0) += row.number;
        }
    }
    Ok(taken)
}

fn of_state<C: Dialect + Operate>(
    conn: &mut C,
    registry: &Registry,
    row: NumbersRow,
    most: i64,
) -> Result<StateNumbers> {
    let (flow, state) = (&*row.flow, &*row.state);
    let known = registry.graph_with(flow, state);
    let of_graph = known.and_then(|graph| graph.state(state));
    let is_completed = of_graph.is_some_and(|known| known.completed);
    let is_error = of_graph.is_some_and(|known| known.error);
    let is_unknown = registry.is_unknown(flow, state);
    let all = row.due + row.claimed + row.rest;
    let given_up = match known {
        // nothing else is neither due nor claimed there
        Some(graph)
            if is_error
                && graph.deadline_micros(state).is_none()
                && !registry.may_have_ended(flow, state) =>
        {
            row.rest
        }
        Some(_) if !is_error => 0,
        // without a graph any state may stand for a failure
        _ if row.rest == 0 => 0,
        _ => given_up(conn, flow, state, most)?,
    };
    let overdue = match row.overdue {
        0 => 0,
        all if registry.is_unserved(flow, state) => all,
        _ if registry.is_queue(flow, state) => unreadable(conn, registry, (flow, state))?,
        _ => 0,
    };
    let stuck = if is_unknown { all } else { given_up + row.expired + overdue };
    let oldest = row.oldest_due_at.as_deref().map(|text| {
        time::parse(text).ok_or_else(|| Error::Stored {
            what: format!("a due time of `{flow}`"),
            text: text.to_owned(),
        })
    });
    Ok(StateNumbers {
        records: all.min(most),
        is_capped: all > most,
        stuck: if is_completed { 0 } else { stuck.min(all).min(most) },
        oldest_due_at: oldest.transpose()?,
        is_error,
        is_completed,
        is_unknown,
        flow: row.flow,
        state: row.state,
    })
}

/// How many of the first records of a state nothing will move after a failure.
fn given_up<C: Dialect + Operate>(conn: &mut C, flow: &str, state: &str, most: i64) -> Result<i64> {
    let binds = [Bind::Text(flow), Bind::Text(state), Bind::Int(most)];
    let rows = conn.given_up_in_state(&binds).explain(conn)?;
    Ok(rows.first().map_or(0, |row| row.number))
}

/// How many of the records of a state that have been due longest no worker can read.
fn unreadable<C: Dialect + Operate>(
    conn: &mut C,
    registry: &Registry,
    (flow, state): (&str, &str),
) -> Result<i64> {
    let lane = LaneRow { flow: flow.to_owned(), state: state.to_owned() };
    let rows = Part::Due.read(conn, &Part::Due.first(&lane), UNREADABLE_AMONG)?;
    let mut standings = rows.into_iter().map(Standing::read).collect::<Result<Vec<_>>>()?;
    add_errors(conn, &mut standings)?;
    let why = standings.iter().map(|standing| standing.why_stuck(registry));
    let unreadable = why.filter(|why| *why == Some(Stuck::Unreadable)).count();
    Ok(i64::try_from(unreadable).unwrap_or(i64::MAX))
}

/// An error with `#` for each number, so that `order 17 not found` is of one kind with `order 18 …`.
pub(super) fn without_numbers(error: &str) -> String {
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
