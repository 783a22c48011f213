//! The history and the artefacts, a statement each.

use diesel::QueryResult;

use super::Dialect;
use super::sql::{InsertArtefact, InsertCreation, InsertHistory};
use super::statement::Bind;
use crate::change::{Change, NewFlow};

pub(super) fn insert<C: Dialect>(conn: &mut C, change: &Change<'_>) -> QueryResult<()> {
    let notes = change.notes;
    for (at, entry) in change.entries().enumerate() {
        let first = at == 0;
        conn.run::<InsertHistory>(&[
            Bind::Int(change.id),
            Bind::Int(entry.seq),
            Bind::Text(entry.link.transition),
            Bind::Text(entry.from),
            Bind::Text(entry.link.to),
            Bind::Int(entry.attempt.into()),
            Bind::Maybe(notes.error.as_deref().filter(|_| first)),
            Bind::Maybe(notes.actor.as_deref()),
            Bind::Maybe(notes.metadata.as_deref().filter(|_| first)),
            Bind::Text(&notes.token),
        ])?;
        for (name, payload) in &entry.link.artefacts {
            conn.run::<InsertArtefact>(&[
                Bind::Int(change.id),
                Bind::Text(name),
                Bind::Int(entry.seq),
                Bind::Text(payload),
            ])?;
        }
    }
    Ok(())
}

/// The name of the first history row, which no transition wrote.
pub(super) const CREATE: &str = "create";

pub(super) fn insert_first<C: Dialect>(
    conn: &mut C,
    id: i64,
    flow: &NewFlow<'_>,
) -> QueryResult<()> {
    conn.run::<InsertCreation>(&[
        Bind::Text(CREATE),
        Bind::Maybe(flow.metadata),
        Bind::Text(flow.token),
        Bind::Int(id),
    ])
    .map(drop)
}
