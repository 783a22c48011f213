//! Where a query stands: in which part of the records of a state, and how far.

use serde::{Deserialize, Serialize};

use crate::dialect::connection::Store;
use crate::dialect::operate::StandingRow;
use crate::dialect::sql::operator::{StandingsClaimed, StandingsDue};
use crate::dialect::sql::statement::Bind;

/// Before every time that is stored, and known to every database.
pub(super) const EARLIEST: &str = "1000-01-01 00:00:00.000000";

/// Where a page of a query ends and the next one begins. Kept elsewhere by serde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryCursor {
    pub(super) part: Part,
    /// The time by which the part is in order.
    pub(super) at: String,
    pub(super) id: i64,
}

/// The records of a state are in three parts, each of which an index has in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    Due,
    Claimed,
    Rest,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Due, Self::Claimed, Self::Rest];

    pub(super) fn start(self) -> QueryCursor {
        QueryCursor { part: self, at: EARLIEST.to_owned(), id: i64::MIN }
    }

    /// After this row of the part.
    pub(super) fn after(self, row: &StandingRow) -> QueryCursor {
        let at = match self {
            Self::Due => row.due_at.as_deref(),
            Self::Claimed => row.leased_until.as_deref(),
            Self::Rest => None,
        };
        QueryCursor { part: self, at: at.unwrap_or(EARLIEST).to_owned(), id: row.id }
    }
}

impl QueryCursor {
    /// The next rows of a state.
    pub(super) fn read<C: Store>(
        &self,
        conn: &mut C,
        [flow, state]: [&str; 2],
        rows: usize,
    ) -> diesel::QueryResult<Vec<StandingRow>> {
        let [flow, state, at] = [flow, state, &self.at].map(Bind::Text);
        let [id, rows] = [Bind::Int(self.id), Bind::Int(number(rows))];
        match self.part {
            Part::Due => conn.standings::<StandingsDue>(&[flow, state, at, at, id, rows]),
            Part::Claimed => conn.standings::<StandingsClaimed>(&[flow, state, at, at, id, rows]),
            Part::Rest => conn.standings_rest(&[flow, state, id, rows]),
        }
    }

    /// By what a part is in order, over all states.
    pub(super) fn order(&self) -> (&str, i64) {
        (&self.at, self.id)
    }
}

pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
