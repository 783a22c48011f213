//! Changes as JSON, for statements that write several rows at once: their text is the same however
//! many there are.

use std::fmt::Write as _;

use serde_json::Value;

use super::change::{Change, Entry, Landing, Payload};

/// How JSON that is stored stands in the JSON of a statement.
#[derive(Clone, Copy)]
pub(super) enum Nested {
    #[cfg(feature = "postgres")]
    AsValue,
    #[cfg(feature = "mysql")]
    AsText,
}

/// The history and the artefacts of a change, as JSON arrays.
#[cfg(feature = "postgres")]
pub(super) fn texts(change: &Change<'_>, nested: Nested) -> [String; 2] {
    let [mut history, mut artefacts] = [const { Array(String::new()) }; 2];
    push(&mut history, &mut artefacts, change, nested);
    [history, artefacts].map(Array::finish)
}

/// The ends of several claims, as JSON arrays: where each row goes, their histories and their
/// artefacts.
pub(super) fn ended<'c>(
    changes: impl IntoIterator<Item = &'c Change<'c>>,
    nested: Nested,
) -> [String; 3] {
    let [mut rows, mut history, mut artefacts] = [const { Array(String::new()) }; 3];
    for change in changes {
        let (after, Landing { completes, timing, .. }) = (change.after(), change.landing);
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
            object.number("completes", completes.into());
            object.number("fails", after.is_error.into());
        });
        push(&mut history, &mut artefacts, change, nested);
    }
    [rows, history, artefacts].map(Array::finish)
}

fn push(history: &mut Array, artefacts: &mut Array, change: &Change<'_>, nested: Nested) {
    for (at, entry) in change.entries().enumerate() {
        history.push(|object| describe(object, change, &entry, at == 0, nested));
        for Payload { name, json, version } in &entry.link.artefacts {
            artefacts.push(|object| {
                object.number("id", change.id);
                object.text("name", Some(name));
                object.number("seq", entry.seq);
                object.json("payload", Some(json), nested);
                object.number("version", (*version).into());
            });
        }
    }
}

fn describe(
    object: &mut Object<'_>,
    change: &Change<'_>,
    entry: &Entry<'_>,
    first: bool,
    nested: Nested,
) {
    let notes = change.notes;
    object.number("id", change.id);
    object.number("seq", entry.seq);
    object.text("transition", Some(entry.link.transition));
    object.text("from", Some(entry.from));
    object.text("to", Some(entry.link.to));
    object.number("attempt", entry.attempt.into());
    object.text("error", notes.error.as_deref().filter(|_| first));
    object.text("actor", notes.actor.as_deref());
    object.json("metadata", notes.metadata.as_deref().filter(|_| first), nested);
    object.text("token", Some(&notes.token));
}

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

    fn json(&mut self, name: &str, json: Option<&str>, nested: Nested) {
        match (nested, json) {
            #[cfg(feature = "mysql")]
            (Nested::AsText, json) => self.text(name, json),
            #[cfg(feature = "postgres")]
            (Nested::AsValue, Some(json)) => {
                self.member(name);
                self.text.push_str(json);
            }
            #[cfg(feature = "postgres")]
            (Nested::AsValue, None) => {}
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
