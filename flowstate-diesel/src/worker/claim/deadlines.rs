//! Deadlines of records that came to their state when it had none, or a later one.

use chrono::TimeDelta;

use crate::dialect::Dialect;
use crate::dialect::sql::shared::{FindLate, SetDeadline, TryLockFlow};
use crate::dialect::sql::statement::Bind;
use crate::error::{RecordRef, Result};
use crate::operator::{Graph, Registry};
use crate::text::chain::chain;
use crate::transaction;
use crate::transaction::explain::Explain as _;
use crate::transaction::parts::{each_part, is_of_a_record};
use crate::transaction::read::read;
use crate::unwind::report;
use crate::worker::step::timed::Timed;

/// How many records are looked for at once, and written in one transaction.
const BATCH: i64 = 500;

/// In microseconds: a deadline that is later by no more than that is right. SQLite's times are
/// rounded.
const ROUNDING: i64 = 1_000_000;

/// So long after the first program has told of a flow, another one is taken to have been there before
/// that told nothing.
const UNTOLD: TimeDelta = TimeDelta::days(1);

/// Whether records may stand in the state of a timed transition without a deadline, or with a later
/// one: a program is known that gives them such a one, or was there before others told of themselves.
pub(crate) fn may_be_late<C>(registry: &Registry, timed: &Timed<C>) -> bool {
    let first = registry.graphs(timed.flow).map(|known| known.first_seen_at).min();
    let mut graphs = registry.graphs(timed.flow).map(|known| &known.graph);
    let gives_another = |graph: &Graph| {
        let deadline = graph.deadline_micros(timed.state);
        graph.state(timed.state).is_some() && deadline.is_none_or(|known| known > timed.after)
    };
    first.is_none_or(|first| registry.now - first < UNTOLD) || graphs.any(gives_another)
}

/// Gives the records of a state their deadline, counted from when they came there. A deadline that is
/// earlier stays, and so do records that others have locked. Returns how many were given one.
pub(crate) fn give<C: Dialect>(conn: &mut C, timed: &Timed<C>) -> Result<usize> {
    let [flow, state] = [timed.flow, timed.state].map(Bind::Text);
    let (mut given, mut last) = (0, i64::MIN);
    loop {
        let (after, rest) = (beyond(timed), [Bind::Int(last), Bind::Int(BATCH)]);
        let binds = [flow, state, flow, state, flow, state, after, rest[0], rest[1]];
        let record = RecordRef { flow: timed.flow, id: None };
        let found = read(conn, record, |conn| conn.counts::<FindLate>(&binds))?;
        let found: Vec<(i64, i64)> =
            found.iter().filter_map(|row| Some((row.label.parse().ok()?, row.number))).collect();
        let Some(&(id, _)) = found.last() else { return Ok(given) };
        last = id;
        each_part(
            &found,
            is_of_a_record::<C>,
            &mut |part| {
                let set = transaction::run_bounded(conn, &mut |conn| set(conn, timed, part));
                given += set?;
                Ok(())
            },
            &mut |&(id, _), error| {
                let (flow, error) = (timed.flow, chain(&error));
                report(|| tracing::warn!(flow, id, error, "a record has got no deadline"));
            },
        )?;
    }
}

fn beyond<'a, C>(timed: &Timed<C>) -> Bind<'a> {
    Bind::Int(timed.after.saturating_add(ROUNDING))
}

/// Writes the deadlines of records that are where they were found and that nobody has locked. Returns
/// how many.
fn set<C: Dialect>(conn: &mut C, timed: &Timed<C>, part: &[(i64, i64)]) -> Result<usize> {
    let mut written = 0;
    for &(id, seq) in part {
        let place = [Bind::Int(id), Bind::Int(seq), Bind::Text(timed.flow)];
        let record = RecordRef { flow: timed.flow, id: Some(id) };
        let free = conn.flows::<TryLockFlow>(&[place[0], place[2]]).explain_for(conn, record)?;
        if free.is_empty() {
            continue;
        }
        let binds = [Bind::Int(timed.after), place[0], place[1], place[2], beyond(timed)];
        written += conn.run::<SetDeadline>(&binds).explain_for(conn, record)?;
    }
    Ok(written)
}
