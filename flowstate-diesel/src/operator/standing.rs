//! Where a record of any flow stands, and whether it is stuck.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::error::{Error, Result};
use super::registry::Registry;
use crate::dialect::Dialect;
use crate::dialect::operate::{Operate, StandingRow};
use crate::text::chain::chain;
use crate::text::time;
use crate::transaction::explain::Explain as _;

/// How long a record may be overdue, or a lease over, before that is called stuck: workers poll
/// every second and reap what others left within a few.
pub(crate) const PATIENCE: TimeDelta = TimeDelta::minutes(1);

/// Where a record stands. Its names are text: they outlive the code that wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Standing {
    /// The key of the row.
    pub id: i64,
    /// The stored name of the flow.
    pub flow: String,
    /// The stored name of the state.
    pub state: String,
    /// How many transitions it has taken.
    pub seq: i64,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Failed tries in a row.
    pub attempts: i32,
    /// When a worker may take it; `None` for never.
    pub due_at: Option<DateTime<Utc>>,
    /// Until when it is claimed.
    pub leased_until: Option<DateTime<Utc>>,
    /// Who has claimed it.
    pub leased_by: Option<String>,
    /// When its timed transition is taken.
    pub deadline_at: Option<DateTime<Utc>>,
    /// Since when it is completed.
    pub completed_at: Option<DateTime<Utc>>,
    /// Since when it is in an error state.
    pub last_errored_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
    /// Why its newest transition failed, if it did.
    pub error: Option<String>,
    /// Why nothing will move it, if that is so.
    pub stuck: Option<Stuck>,
}

/// Why nothing will move a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stuck {
    /// It is in an error state, and no further try will be made.
    GaveUp,
    /// Its lease ended over a minute ago, and nobody has failed it over.
    LeaseOver,
    /// It has been due for over a minute, and no live worker serves its state.
    Unserved,
    /// No registered graph of its flow knows its state.
    UnknownState,
    /// It has been due for over a minute, and the worker that last took it could not read it.
    Unreadable,
}

impl Stuck {
    /// In words, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GaveUp => "gave up",
            Self::LeaseOver => "lease over",
            Self::Unserved => "unserved",
            Self::UnknownState => "unknown state",
            Self::Unreadable => "unreadable",
        }
    }

    /// The meaning of this way to be stuck in words, and the remedy.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::GaveUp => "all tries failed; mend the cause, then `retry`",
            Self::LeaseOver => {
                "the worker that claimed it is gone and no other one fails it over; start a worker \
                 of this flow, or `release` it"
            }
            Self::Unserved => "it is due and no live worker serves its state; start one",
            Self::UnknownState => {
                "no registered version of the program knows this state; start the version that \
                 does, or `force` it into a known one"
            }
            Self::Unreadable => {
                "the workers that take it cannot read its props or an artefact; start the version \
                 that can, or repair the row"
            }
        }
    }
}

/// How the history says why a worker has left a record to another program.
const UNREADABLE: &str = "this program cannot read the record: ";

/// What the history keeps of a record that a worker could not read.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) fn unreadable(error: &crate::error::Error) -> String {
    format!("{UNREADABLE}{}", chain(error))
}

fn is_unreadable(error: &str) -> bool {
    error.starts_with(UNREADABLE)
}

impl Standing {
    pub(crate) fn read(row: StandingRow) -> Result<Self> {
        let id = row.id;
        let required = |text: &str| {
            time::parse(text).ok_or_else(|| Error::Stored {
                what: format!("a time of record #{id}"),
                text: text.to_owned(),
            })
        };
        let optional = |text: Option<String>| text.as_deref().map(required).transpose();
        Ok(Self {
            id,
            created_at: required(&row.created_at)?,
            updated_at: required(&row.updated_at)?,
            due_at: optional(row.due_at)?,
            leased_until: optional(row.leased_until)?,
            deadline_at: optional(row.deadline_at)?,
            completed_at: optional(row.completed_at)?,
            last_errored_at: optional(row.last_errored_at)?,
            flow: row.flow,
            state: row.state,
            seq: row.seq,
            key: row.key,
            attempts: row.attempts,
            leased_by: row.leased_by,
            error: None,
            stuck: None,
        })
    }

    /// Whether nothing will move it, and why. Its error is known by now.
    pub(crate) fn why_stuck(&self, registry: &Registry) -> Option<Stuck> {
        if self.completed_at.is_some() {
            return None;
        }
        let long_ago = registry.now - PATIENCE;
        let is_over = |time: Option<DateTime<Utc>>| time.is_some_and(|time| time < long_ago);
        if registry.is_unknown(&self.flow, &self.state) {
            Some(Stuck::UnknownState)
        } else if self.last_errored_at.is_some()
            && self.due_at.is_none()
            && self.deadline_at.is_none()
        {
            Some(Stuck::GaveUp)
        } else if is_over(self.leased_until) {
            Some(Stuck::LeaseOver)
        } else if is_over(self.due_at) && registry.is_unserved(&self.flow, &self.state) {
            Some(Stuck::Unserved)
        } else if is_over(self.due_at) && self.error.as_deref().is_some_and(is_unreadable) {
            Some(Stuck::Unreadable)
        } else {
            None
        }
    }
}

/// Why the newest transitions of records failed.
pub(crate) fn add_errors<C: Dialect + Operate>(
    conn: &mut C,
    standings: &mut [Standing],
) -> Result<()> {
    if standings.is_empty() {
        return Ok(());
    }
    let ids = standings.iter().map(|standing| standing.id).collect::<serde_json::Value>();
    let ids = ids.to_string();
    for row in conn.errors(&ids).explain(conn)? {
        let standing = standings.iter_mut().find(|standing| standing.id == row.number);
        if let Some(standing) = standing {
            standing.error = Some(row.label);
        }
    }
    Ok(())
}
