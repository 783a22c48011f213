//! A transition without types: what the dialects write.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use flowstate::{Definition, Flow as _, State as _, Transition};

use super::sql::statement::Bind;
use super::tries::Tries;
use super::waits::Waits;
use crate::error::{Error, RecordRef};
use crate::metrics::Taken;
use crate::text::time::micros;

/// One declared transition to be taken. A request has several where one follows at once.
#[derive(Clone, Debug)]
pub struct Link {
    pub transition: &'static str,
    pub to: &'static str,
    pub to_error: bool,
    pub tries: Tries,
    pub artefacts: Vec<Payload>,
    /// Whether records of the flow have labels.
    pub has_labels: bool,
}

/// An artefact as it is written.
#[derive(Clone, Debug)]
pub struct Payload {
    pub name: &'static str,
    pub json: String,
    pub version: u32,
}

/// Props as they are written.
#[derive(Clone, Copy, Debug)]
pub struct Props<'a> {
    pub json: &'a str,
    pub version: u32,
}

impl Link {
    /// A transition that persists nothing so far.
    pub(crate) fn of<T: Transition>() -> Self {
        let flow = T::Flow::DEFINITION;
        // known when this is compiled, so that no request looks for its transition among all others
        let tries = const { Tries::of(T::Flow::DEFINITION, T::NAME) };
        let (to, to_error) = (T::TO.as_str(), T::TO.is_error());
        let (artefacts, has_labels) = (Vec::new(), !flow.labels.is_empty());
        Self { transition: T::NAME, to, to_error, tries, artefacts, has_labels }
    }

    /// The transition of this name, which leads to the state `to`.
    #[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
    pub(crate) fn by(flow: &Definition, transition: &'static str, to: &'static str) -> Self {
        let to_error = flow.state(to).is_some_and(|state| state.is_error);
        let (tries, has_labels) = (Tries::of(flow, transition), !flow.labels.is_empty());
        Self { transition, to, to_error, tries, artefacts: Vec::new(), has_labels }
    }
}

/// The notes in the history that all links of a request share.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    pub error: Option<String>,
    pub actor: Option<String>,
    pub metadata: Option<String>,
    /// The trace context of the caller.
    pub traceparent: Option<String>,
    /// Random: a caller whose COMMIT got no answer recognizes its own row by it.
    pub token: String,
}

/// Where the row stands before the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    pub seq: i64,
    pub state: &'a str,
    pub is_error: bool,
    pub attempts: i32,
}

/// What a request asks for, without types.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// By the name under which it is stored.
    pub(crate) record: RecordRef,
    /// The names under which it may be stored besides.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) id: i64,
    pub(crate) links: Vec<Link>,
    pub(crate) notes: Notes,
    pub(crate) landing: Landing,
    /// How long the record is claimed then, in microseconds, and whose claim it is.
    pub(crate) lease: Option<(i64, Arc<str>)>,
    /// The request ends a claim of this worker: the row must still be at the `seq` that is
    /// remembered, and in its hands.
    pub(crate) held_by: Option<Arc<str>>,
}

impl Plan {
    /// How many bytes of artefacts and notes it writes.
    #[cfg_attr(not(feature = "r2d2"), allow(dead_code, reason = "for workers"))]
    pub(crate) fn bytes(&self) -> usize {
        let artefacts = self.links.iter().flat_map(|link| &link.artefacts);
        let artefacts = artefacts.map(|payload| payload.json.len()).sum::<usize>();
        let Notes { error, metadata, .. } = &self.notes;
        [error, metadata].into_iter().flatten().map(String::len).sum::<usize>() + artefacts
    }

    pub(crate) fn lease_lost(&self) -> Error {
        let transition = self.links.first().map_or("", |link| link.transition);
        Error::LeaseLost { record: self.record, transition }
    }

    pub(crate) fn change<'a>(
        &'a self,
        before: Standing<'a>,
        props: Option<Props<'a>>,
    ) -> Change<'a> {
        let Self { record, id, ref links, ref notes, landing, ref held_by, .. } = *self;
        let (born, held_by) = (None, held_by.as_deref());
        Change { record, id, before, links, notes, landing, props, born, held_by }
    }
}

/// One write: the row moves from `before` along the links.
#[derive(Debug)]
pub struct Change<'a> {
    pub record: RecordRef,
    pub id: i64,
    pub before: Standing<'a>,
    pub links: &'a [Link],
    pub notes: &'a Notes,
    pub landing: Landing,
    /// The props, if they changed.
    pub props: Option<Props<'a>>,
    /// When the record was created: one that was created at another time under the same id is
    /// another one. `None` if that is known already.
    pub born: Option<DateTime<Utc>>,
    /// The worker whose claim it ends: one that another has claimed since is left alone. `None` if
    /// whoever holds it does not matter.
    pub held_by: Option<&'a str>,
}

/// How a change leaves a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The record has ended.
    pub completes: bool,
    /// The record is deleted.
    pub destroys: bool,
    pub timing: Timing,
}

impl Landing {
    /// Of a record that comes to this state: due after the delay, unless it is completed there.
    pub(crate) fn at(flow: &Definition, state: &str, delay: Duration) -> Self {
        let (state, timed) = (flow.state(state), flow.timed(state));
        let completes = state.is_some_and(|state| state.is_completed);
        Self {
            completes,
            destroys: state.is_some_and(|state| state.destroys),
            timing: Timing {
                due_in: (!completes).then(|| micros(delay)),
                deadline_in: timed.map(|(_, after)| micros(after)),
                attempts: None,
            },
        }
    }
}

/// What the row says of workers after a change. Times are microseconds from now, by the database's
/// clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Until a worker may take it; `None` for never.
    pub due_in: Option<i64>,
    /// Until its timed transition; `None` if the state has none.
    pub deadline_in: Option<i64>,
    /// The failed tries in a row, where a worker knows better than [`step`].
    pub attempts: Option<i32>,
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
                seq: at.seq.saturating_add(1),
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

    /// What it is counted as.
    pub(crate) fn taken(&self) -> Taken {
        let mut taken = Taken::default();
        for link in self.links {
            taken.add(self.record.flow, link.transition, 1);
        }
        taken
    }

    /// Whether it is the usual change, which touches few columns.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(super) fn is_usual(&self) -> bool {
        self.landing.timing.deadline_in.is_none() && self.props.is_none()
    }

    /// Where the row stands after the change.
    pub fn after(&self) -> Standing<'_> {
        let after = self.links.iter().fold(self.before, step);
        Standing { attempts: self.landing.timing.attempts.unwrap_or(after.attempts), ..after }
    }
}

fn step<'a>(at: Standing<'a>, link: &'a Link) -> Standing<'a> {
    let attempts = match link.tries {
        Tries::Fails => at.attempts.saturating_add(1),
        Tries::Untold if link.to_error => at.attempts.saturating_add(1),
        Tries::Begins | Tries::Untold if at.is_error => at.attempts,
        Tries::Begins | Tries::Anew | Tries::Untold => 0,
    };
    let seq = at.seq.saturating_add(1);
    Standing { seq, state: link.to, is_error: link.to_error, attempts }
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
    pub landing: Landing,
    pub props: Props<'a>,
    pub key: Option<&'a str>,
    /// It has its key until it is completed, and not until it is destroyed.
    pub is_single: bool,
    /// When a worker may take it, if that is later than what `landing` says.
    pub due_at: Option<DateTime<Utc>>,
    pub token: &'a str,
    /// What the history keeps with the creation.
    pub metadata: Option<&'a str>,
    /// The trace context of the caller.
    pub traceparent: Option<&'a str>,
}

/// A plain record to be inserted, without borrows: another thread may insert it.
#[derive(Debug)]
pub(crate) struct Creation {
    flow: &'static str,
    state: &'static str,
    landing: Landing,
    json: String,
    version: u32,
    due_at: Option<DateTime<Utc>>,
    token: String,
}

impl Creation {
    /// `None` if there is more to it: a key, or what the history keeps.
    pub(crate) fn of(new: &NewFlow<'_>) -> Option<Self> {
        let NewFlow { key: None, metadata: None, traceparent: None, .. } = *new else {
            return None;
        };
        let NewFlow { flow, state, landing, due_at, .. } = *new;
        let Props { json, version } = new.props;
        let (json, token) = (json.to_owned(), new.token.to_owned());
        Some(Self { flow, state, landing, json, version, due_at, token })
    }

    pub(crate) fn new_flow(&self) -> NewFlow<'_> {
        NewFlow {
            flow: self.flow,
            state: self.state,
            landing: self.landing,
            props: Props { json: &self.json, version: self.version },
            key: None,
            is_single: false,
            due_at: self.due_at,
            token: &self.token,
            metadata: None,
            traceparent: None,
        }
    }
}

impl<'a> NewFlow<'a> {
    /// The name of the first history row, which no transition wrote.
    pub(super) const TRANSITION: &'static str = "flow.create";

    /// The values of its row. `times`: when it is due at the earliest, after which delay it is, and
    /// its deadline.
    pub(super) fn binds<'b>(&self, times: [Bind<'b>; 3]) -> [Bind<'b>; 10]
    where
        'a: 'b,
    {
        let [due_at, due_in, deadline] = times;
        [
            Bind::Text(self.flow),
            Bind::Text(self.state),
            Bind::Text(self.props.json),
            Bind::Int(self.props.version.into()),
            Bind::Maybe(self.key),
            due_at,
            due_at,
            due_in,
            deadline,
            self.landing.completes.into(),
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
    /// How long the statement waits for locks of others, where it is a transaction of its own.
    pub waits: Waits,
}

impl Claims<'_> {
    /// So many transitions of a record are looked through for the last end of the step, so that a claim
    /// takes as long however old the record is. A claim keeps what was found, or that the step began
    /// anew where nothing was.
    pub(super) const LOOKS_BACK: i64 = 1000;
}
