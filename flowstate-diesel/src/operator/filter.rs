//! Which records are wanted, a page at a time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Result;
use super::lane::Part;
use super::reading::reading;
use super::registry::Registry;
use super::search::Search;
use super::standing::{Standing, Stuck};
use crate::dialect::connection::AsStore;
use crate::text::time;

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
    pub(super) flow: String,
    pub(super) state: String,
    pub(super) part: Part,
    /// The time by which the part is in order.
    pub(super) at: String,
    pub(super) id: i64,
}

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
