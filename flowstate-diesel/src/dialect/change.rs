//! A transition without types: what the dialects write.

use std::time::Duration;

use chrono::{DateTime, Utc};
use flowstate::{Definition, Flow as _, State as _, Transition};

use super::sql::statement::Bind;
use crate::error::RecordRef;
use crate::text::time::micros;

/// One declared transition to be taken. A request has several where one follows at once.
#[derive(Clone, Debug)]
pub struct Link {
    pub transition: &'static str,
    pub to: &'static str,
    pub to_error: bool,
    /// It is the next try of what failed before: the failed tries in a row are still counted.
    pub tries_again: bool,
    /// Names and JSON texts.
    pub artefacts: Vec<(&'static str, String)>,
    /// Whether records of the flow have labels.
    pub has_labels: bool,
}

impl Link {
    /// A transition that persists nothing so far.
    pub(crate) fn of<T: Transition>() -> Self {
        Self::by(T::Flow::DEFINITION, T::NAME, T::TO.as_str())
    }

    /// The transition of this name, which leads to the state `to`.
    pub(crate) fn by(flow: &Definition, transition: &'static str, to: &'static str) -> Self {
        let to_error = flow.state(to).is_some_and(|state| state.is_error);
        // without steps nothing tells a further try from somebody's decision
        let tries_again =
            flow.steps.is_empty() || flow.steps.iter().any(|step| step.start == transition);
        let has_labels = !flow.labels.is_empty();
        Self { transition, to, to_error, tries_again, artefacts: Vec::new(), has_labels }
    }
}

/// What is the same for all links of a request.
#[derive(Debug, Default)]
pub struct Notes {
    pub error: Option<String>,
    pub actor: Option<String>,
    pub metadata: Option<String>,
    /// Random: a caller whose COMMIT got no answer recognizes its own row by it.
    pub token: String,
}

/// Where the row stands before the change.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    pub seq: i64,
    pub state: &'a str,
    pub is_error: bool,
    pub attempts: i32,
}

/// One write: the row moves from `before` along the links.
#[derive(Debug)]
pub struct Change<'a> {
    pub record: RecordRef,
    pub id: i64,
    pub before: Standing<'a>,
    pub links: &'a [Link],
    pub notes: &'a Notes,
    pub completes: bool,
    pub destroys: bool,
    pub timing: Timing<'a>,
    /// The props, if they changed.
    pub props: Option<&'a str>,
    /// When the record was created: one that was created at another time under the same id is
    /// another one. `None` if that is known already.
    pub born: Option<DateTime<Utc>>,
    /// The worker whose claim it ends: one that another has claimed since is left alone. `None` if
    /// whoever holds it does not matter.
    pub held_by: Option<&'a str>,
}

/// What the row says of workers after a change. Times are microseconds from now, by the database's
/// clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing<'a> {
    /// Until a worker may take it; `None` for never.
    pub due_in: Option<i64>,
    /// Until its timed transition; `None` if the state has none.
    pub deadline_in: Option<i64>,
    /// How long the claim holds, and whose it is.
    pub lease: Option<(i64, &'a str)>,
    /// The failed tries in a row, where a worker knows better than [`step`].
    pub attempts: Option<i32>,
}

impl Timing<'_> {
    /// Of a record that comes to this state: due after the delay, unless it is completed there.
    pub(crate) fn on_arrival(flow: &Definition, state: &str, delay: Duration) -> Timing<'static> {
        let completes = flow.state(state).is_some_and(|state| state.is_completed);
        Timing {
            due_in: (!completes).then(|| micros(delay)),
            deadline_in: flow.timed(state).map(|(_, after)| micros(after)),
            ..Timing::default()
        }
    }
}

/// One row of the history, computed from a change.
#[derive(Debug)]
pub struct Entry<'a> {
    pub seq: i64,
    pub from: &'a str,
    pub attempt: i32,
    pub link: &'a Link,
}

impl Change<'_> {
    /// The history rows that the change writes, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut at = self.before;
        self.links.iter().map(move |link| {
            let entry = Entry {
                seq: at.seq + 1,
                from: at.state,
                attempt: at.attempts.saturating_add(1),
                link,
            };
            at = step(at, link);
            entry
        })
    }

    /// The history row of a change of one link with at most one artefact.
    pub fn only_entry(&self) -> Option<Entry<'_>> {
        match self.links {
            [link] if link.artefacts.len() <= 1 => self.entries().next(),
            _ => None,
        }
    }

    /// Whether it is the usual change, which touches few columns.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(super) fn is_usual(&self) -> bool {
        let Timing { lease, deadline_in, .. } = self.timing;
        lease.is_none() && deadline_in.is_none() && self.props.is_none()
    }

    /// Where the row stands after the change.
    pub fn after(&self) -> Standing<'_> {
        let after = self.links.iter().fold(self.before, step);
        Standing { attempts: self.timing.attempts.unwrap_or(after.attempts), ..after }
    }
}

/// A try fails by entering an error state, and the next one leaves it. Any other move is progress, or
/// somebody's decision, and starts the count afresh.
fn step<'a>(at: Standing<'a>, link: &'a Link) -> Standing<'a> {
    let attempts = match (at.is_error, link.to_error) {
        (_, true) => at.attempts.saturating_add(1),
        (true, false) if link.tries_again => at.attempts,
        (_, false) => 0,
    };
    Standing { seq: at.seq + 1, state: link.to, is_error: link.to_error, attempts }
}

/// The microseconds since the beginning of the year 2000.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) fn since_2000(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros().saturating_sub(946_684_800_000_000)
}

/// A record to be inserted.
#[derive(Debug)]
pub struct NewFlow<'a> {
    pub flow: &'static str,
    pub state: &'static str,
    pub completes: bool,
    pub props: &'a str,
    pub key: Option<&'a str>,
    pub timing: Timing<'a>,
    /// When a worker may take it, if that is later than what `timing` says.
    pub due_at: Option<DateTime<Utc>>,
    pub token: &'a str,
    /// What the history keeps with the creation.
    pub metadata: Option<&'a str>,
}

impl<'a> NewFlow<'a> {
    /// The name of the first history row, which no transition wrote.
    pub(super) const TRANSITION: &'static str = "flow.create";

    /// The values of its row. `times`: when it is due at the earliest, after which delay it is, and
    /// its deadline.
    pub(super) fn binds<'b>(&self, times: [Bind<'b>; 3]) -> [Bind<'b>; 9]
    where
        'a: 'b,
    {
        let [due_at, due_in, deadline] = times;
        [
            Bind::Text(self.flow),
            Bind::Text(self.state),
            Bind::Text(self.props),
            Bind::Maybe(self.key),
            due_at,
            due_at,
            due_in,
            deadline,
            self.completes.into(),
        ]
    }
}

/// No record, as a JSON array of ids.
#[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
pub(crate) const NO_IDS: &str = "[]";

/// Which of the records that are due.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// The oldest, overdue by at most `reach` microseconds, but for the ids of a JSON array.
    Oldest { reach: i64, but: &'a str, limit: i64 },
    /// Those with these ids.
    These(&'a [i64]),
}

/// A batch of records to be claimed, the oldest first.
#[derive(Debug)]
pub struct Claims<'a> {
    pub flow: &'static str,
    pub from: &'a str,
    pub link: &'a Link,
    pub which: Which<'a>,
    pub lease: (i64, &'a str),
    pub deadline_in: Option<i64>,
    pub token: &'a str,
    /// The transitions by which the step ends well, as a JSON array, where a record can come to the
    /// step again after one of them.
    pub finishes: Option<&'a str>,
}
