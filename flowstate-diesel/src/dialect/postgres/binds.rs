//! What the statements of PostgreSQL are given.
//!
//! The history and the artefacts of a change of several links go as one JSON array each: the
//! statement that writes them has the same text however many there are.

use std::fmt::Write as _;

use serde_json::Value;

use crate::dialect::change::{Change, Entry, NewFlow};
use crate::dialect::sql::statement::Bind;

/// The history row of the only link of a change.
pub(super) fn entry_binds<'a>(change: &Change<'a>, entry: &Entry<'a>) -> [Bind<'a>; 7] {
    let notes = change.notes;
    [
        Bind::Text(entry.link.transition),
        Bind::Text(entry.from),
        Bind::Int(entry.attempt.into()),
        Bind::Maybe(notes.error.as_deref()),
        Bind::Maybe(notes.actor.as_deref()),
        Bind::Maybe(notes.metadata.as_deref()),
        Bind::Text(&notes.token),
    ]
}

/// The values of a new record; `announcement` if it is inserted in a transaction of its own.
pub(super) fn new_binds<'a>(flow: &NewFlow<'a>, announcement: Option<i64>) -> Vec<Bind<'a>> {
    let due_at = flow.due_at.map(|due| due.timestamp_micros());
    let times = [due_at, flow.timing.due_in, flow.timing.deadline_in];
    let mut binds = flow.binds(times.map(Bind::MaybeInt)).to_vec();
    binds.extend(announcement.map(Bind::Int));
    let name = Bind::Text(NewFlow::TRANSITION);
    binds.extend([name, Bind::Maybe(flow.metadata), Bind::Text(flow.token)]);
    binds
}

/// The number of the lock under which a record is created: 64 of the token's random bits.
pub(super) fn announcement(token: &str) -> i64 {
    let bits = token.get(..16).and_then(|bits| u64::from_str_radix(bits, 16).ok());
    bits.unwrap_or_default().cast_signed()
}

/// The history and the artefacts.
pub(super) fn texts(change: &Change<'_>) -> (String, String) {
    let (mut history, mut artefacts) = (Array::default(), Array::default());
    for (at, entry) in change.entries().enumerate() {
        history.push(|object| describe(object, change, &entry, at == 0));
        for (name, payload) in &entry.link.artefacts {
            artefacts.push(|object| {
                object.text("name", Some(name));
                object.number("seq", entry.seq);
                object.json("payload", Some(payload));
            });
        }
    }
    (history.finish(), artefacts.finish())
}

/// The ends of several claims: where each row goes, their histories and their artefacts.
pub(super) fn ended(changes: &[Change<'_>]) -> [String; 3] {
    let [mut rows, mut history, mut artefacts] = [const { Array(String::new()) }; 3];
    for change in changes {
        let (after, timing) = (change.after(), change.timing);
        rows.push(|object| {
            object.number("id", change.id);
            object.number("before", change.before.seq);
            object.text("flow", Some(change.record.flow));
            object.text("worker", change.held_by);
            object.text("state", Some(after.state));
            object.number("seq", after.seq);
            object.number("attempts", after.attempts.into());
            timing.due_in.into_iter().for_each(|due| object.number("due", due));
            timing.deadline_in.into_iter().for_each(|at| object.number("deadline", at));
            object.number("completes", change.completes.into());
            object.number("fails", after.is_error.into());
        });
        for (at, entry) in change.entries().enumerate() {
            history.push(|object| {
                object.number("id", change.id);
                describe(object, change, &entry, at == 0);
            });
            for (name, payload) in &entry.link.artefacts {
                artefacts.push(|object| {
                    object.number("id", change.id);
                    object.text("name", Some(name));
                    object.number("seq", entry.seq);
                    object.json("payload", Some(payload));
                });
            }
        }
    }
    [rows, history, artefacts].map(Array::finish)
}

fn describe(object: &mut Object<'_>, change: &Change<'_>, entry: &Entry<'_>, first: bool) {
    let notes = change.notes;
    object.number("seq", entry.seq);
    object.text("transition", Some(entry.link.transition));
    object.text("from", Some(entry.from));
    object.text("to", Some(entry.link.to));
    object.number("attempt", entry.attempt.into());
    object.text("error", notes.error.as_deref().filter(|_| first));
    object.text("actor", notes.actor.as_deref());
    object.json("metadata", notes.metadata.as_deref().filter(|_| first));
    object.text("token", Some(&notes.token));
}

#[derive(Default)]
struct Array(String);

impl Array {
    fn push(&mut self, members: impl FnOnce(&mut Object<'_>)) {
        self.0.push_str(if self.0.is_empty() { "[{" } else { ",{" });
        members(&mut Object { text: &mut self.0, is_empty: true });
        self.0.push('}');
    }

    fn finish(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "[]" } else { "]" });
        self.0
    }
}

/// Members that are `None` are left out: JSON's own null is a value.
struct Object<'a> {
    text: &'a mut String,
    is_empty: bool,
}

impl Object<'_> {
    fn number(&mut self, name: &str, number: i64) {
        self.member(name);
        write!(self.text, "{number}").unwrap_or_default();
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.member(name);
            write!(self.text, "{}", Value::from(text)).unwrap_or_default();
        }
    }

    fn json(&mut self, name: &str, json: Option<&str>) {
        if let Some(json) = json {
            self.member(name);
            self.text.push_str(json);
        }
    }

    fn member(&mut self, name: &str) {
        if !std::mem::take(&mut self.is_empty) {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }
}
