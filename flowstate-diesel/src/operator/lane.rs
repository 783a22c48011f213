//! Lanes: the records of a flow in a state, in three parts, each of which an index has in order.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::Result;
use super::filter::Filter;
use super::registry::Registry;
use super::standing::{PATIENCE, Standing, Stuck};
use crate::dialect::Dialect;
use crate::dialect::operate::{LaneRow, Operate, StandingRow};
use crate::dialect::sql::operator::{StandingsClaimed, StandingsDue};
use crate::dialect::sql::statement::Bind;
use crate::text::time;
use crate::transaction::explain::Explain as _;

/// Before every time that is stored, and known to every database.
const EARLIEST: &str = "1000-01-01 00:00:00.000000";

/// A part of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// Those that are due, or will be: the longest due first.
    #[default]
    Due,
    /// Those that are claimed: first whose lease ends first.
    Claimed,
    /// Neither: completed, given up. By id.
    Rest,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Due, Self::Claimed, Self::Rest];

    pub(super) const fn letter(self) -> char {
        match self {
            Self::Due => 'd',
            Self::Claimed => 'c',
            Self::Rest => 'r',
        }
    }

    pub(super) fn of_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| letter.starts_with(part.letter()) && letter.len() == 1)
    }

    /// Where this part of a lane begins.
    pub(super) fn first(self, lane: &LaneRow) -> Cursor {
        let (flow, state) = (lane.flow.clone(), lane.state.clone());
        Cursor { flow, state, part: self, at: String::new(), id: i64::MIN }
    }

    /// The next rows of a lane after the cursor, which is in this part.
    pub(super) fn read<C: Dialect + Operate>(
        self,
        conn: &mut C,
        cursor: &Cursor,
        rows: i64,
    ) -> Result<Vec<StandingRow>> {
        let at = if cursor.at.is_empty() { EARLIEST } else { &cursor.at };
        let [flow, state, at] = [&cursor.flow, &cursor.state, at].map(Bind::Text);
        let [id, rows] = [cursor.id, rows].map(Bind::Int);
        let read = match self {
            Self::Due => conn.standings::<StandingsDue>(&[flow, state, at, at, id, rows]),
            Self::Claimed => conn.standings::<StandingsClaimed>(&[flow, state, at, at, id, rows]),
            Self::Rest => conn.standings_rest(&[flow, state, id, rows]),
        };
        Ok(read.explain(conn)?)
    }

    /// The part in which a record is, and the time by which that is in order.
    pub(super) fn of(record: &Standing) -> (Self, Option<DateTime<Utc>>) {
        match (record.due_at, record.leased_until) {
            (Some(due), _) => (Self::Due, Some(due)),
            (None, Some(until)) => (Self::Claimed, Some(until)),
            (None, None) => (Self::Rest, None),
        }
    }

    /// Whether what follows this record in its part is not over yet either, and so not stuck.
    pub(super) fn ends_after(last: &Standing, registry: &Registry) -> bool {
        Self::of(last).1.is_some_and(|time| time >= registry.now - PATIENCE)
    }
}

/// Where a page ends and the next one begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub(super) flow: String,
    pub(super) state: String,
    pub(super) part: Part,
    /// The time by which the part is in order.
    pub(super) at: String,
    pub(super) id: i64,
}

impl Cursor {
    /// After this record.
    pub(super) fn of(record: &Standing) -> Self {
        let (part, at) = Part::of(record);
        let at = at.map(time::write).unwrap_or_default();
        Self { flow: record.flow.clone(), state: record.state.clone(), part, at, id: record.id }
    }

    /// The text form, for addresses and commands.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { flow, state, part, at, id } = self;
        format!("{id}/{}/{at}/{}/{flow}/{state}", part.letter(), flow.len())
    }

    /// Reads the text form. `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '/');
        let id = parts.next()?.parse().ok()?;
        let part = Part::of_letter(parts.next()?)?;
        let at = parts.next().filter(|at| at.is_empty() || time::parse(at).is_some())?;
        let length: usize = parts.next()?.parse().ok()?;
        let (flow, state) = parts.next()?.split_at_checked(length)?;
        let state = state.strip_prefix('/')?;
        let [flow, state, at] = [flow, state, at].map(str::to_owned);
        Some(Self { flow, state, part, at, id })
    }
}

/// The lanes that have records; only of `flow`, if one is given.
pub(super) fn lanes<C: Dialect + Operate>(
    conn: &mut C,
    flow: Option<&str>,
) -> Result<Vec<LaneRow>> {
    Ok(conn.lanes(flow).explain(conn)?)
}

/// The lanes in which something wanted may be, in order.
pub(super) fn wanted_lanes<C: Dialect + Operate>(
    conn: &mut C,
    filter: &Filter,
    registry: &Registry,
) -> Result<Vec<LaneRow>> {
    let mut wanted = match &filter.flow {
        // known without a look
        Some(flow) if !filter.states.is_empty() => {
            let lane = |state: &String| LaneRow { flow: flow.clone(), state: state.clone() };
            filter.states.iter().map(lane).collect()
        }
        flow => lanes(conn, flow.as_deref())?,
    };
    let is_wanted = |state: &String| filter.states.is_empty() || filter.states.contains(state);
    wanted.retain(|lane| is_wanted(&lane.state) && !parts(lane, filter, registry).is_empty());
    wanted.sort_by(|one, other| (&one.flow, &one.state).cmp(&(&other.flow, &other.state)));
    wanted.dedup();
    Ok(wanted)
}

/// The parts of a lane in which something wanted may be.
pub(super) fn parts(lane: &LaneRow, filter: &Filter, registry: &Registry) -> Vec<Part> {
    let LaneRow { flow, state } = lane;
    if !wants_stuck(filter) {
        return Part::ALL.to_vec();
    }
    let wants = |why| filter.stuck_because.is_none_or(|because| because == why);
    if registry.is_unknown(flow, state) {
        return if wants(Stuck::UnknownState) { Part::ALL.to_vec() } else { Vec::new() };
    }
    if registry.is_completed(flow, state) {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let due = wants(Stuck::Unserved) && registry.is_unserved(flow, state)
        || wants(Stuck::Unreadable) && registry.is_queue(flow, state);
    parts.extend(due.then_some(Part::Due));
    parts.extend(wants(Stuck::LeaseOver).then_some(Part::Claimed));
    parts.extend((wants(Stuck::GaveUp) && registry.may_fail(flow, state)).then_some(Part::Rest));
    parts
}

/// Whether only what is stuck is wanted.
pub(super) fn wants_stuck(filter: &Filter) -> bool {
    filter.stuck || filter.stuck_because.is_some()
}
