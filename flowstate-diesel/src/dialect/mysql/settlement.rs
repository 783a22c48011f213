//! The ends of several claims as JSON, for statements that write them at once.

use serde_json::{Value, json};

use crate::dialect::change::Change;

/// As many bytes of payloads may go in one statement: `max_allowed_packet` is 16 MB in MariaDB and
/// 64 MB in MySQL, and may be set lower.
const MOST_BYTES: usize = 256 * 1024;

/// What the ends of several claims write, as JSON arrays.
pub(super) struct Settlement {
    pub(super) flows: String,
    pub(super) history: String,
    /// `None` if there are none.
    pub(super) artefacts: Option<String>,
}

/// What these changes write. `None` if they had better be written one by one: a single one, one that
/// does more than end a claim, or payloads that are large.
pub(super) fn settlement(changes: &[&Change<'_>]) -> Option<Settlement> {
    let is_an_end = |change: &Change<'_>| {
        change.timing.lease.is_none() && change.props.is_none() && change.born.is_none()
    };
    let bytes: usize = changes.iter().map(|change| bytes(change)).sum();
    if changes.len() < 2 || bytes > MOST_BYTES || !changes.iter().all(|change| is_an_end(change)) {
        return None;
    }
    let mut artefacts = Vec::new();
    let mut history = Vec::new();
    for change in changes {
        for (at, entry) in change.entries().enumerate() {
            let (notes, first) = (change.notes, at == 0);
            history.push(object([
                ("id", Some(json!(change.id))),
                ("seq", Some(json!(entry.seq))),
                ("transition", Some(json!(entry.link.transition))),
                ("from", Some(json!(entry.from))),
                ("to", Some(json!(entry.link.to))),
                ("attempt", Some(json!(entry.attempt))),
                ("error", notes.error.as_ref().filter(|_| first).map(|error| json!(error))),
                ("actor", notes.actor.as_ref().map(|actor| json!(actor))),
                ("metadata", notes.metadata.as_ref().filter(|_| first).map(|data| json!(data))),
                ("token", Some(json!(notes.token))),
            ]));
            let (id, seq) = (change.id, entry.seq);
            for (name, payload) in &entry.link.artefacts {
                artefacts.push(json!({ "id": id, "name": name, "seq": seq, "payload": payload }));
            }
        }
    }
    Some(Settlement {
        flows: Value::Array(changes.iter().map(|change| flow(change)).collect()).to_string(),
        history: Value::Array(history).to_string(),
        artefacts: (!artefacts.is_empty()).then(|| Value::Array(artefacts).to_string()),
    })
}

fn bytes(change: &Change<'_>) -> usize {
    let payloads = change.links.iter().flat_map(|link| &link.artefacts);
    let texts = [&change.notes.error, &change.notes.metadata];
    payloads.map(|(_, payload)| payload.len()).sum::<usize>()
        + texts.into_iter().flatten().map(String::len).sum::<usize>()
}

/// Where the row goes.
fn flow(change: &Change<'_>) -> Value {
    let (after, timing) = (change.after(), change.timing);
    object([
        ("id", Some(json!(change.id))),
        ("before", Some(json!(change.before.seq))),
        ("flow", Some(json!(change.record.flow))),
        ("state", Some(json!(after.state))),
        ("seq", Some(json!(after.seq))),
        ("attempts", Some(json!(after.attempts))),
        ("due", timing.due_in.map(|due| json!(due))),
        ("deadline", timing.deadline_in.map(|at| json!(at))),
        ("completes", Some(json!(i32::from(change.completes)))),
        ("fails", Some(json!(i32::from(after.is_error)))),
    ])
}

/// Without the members that are not there: JSON's own null is a value.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members.into_iter();
    members.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
