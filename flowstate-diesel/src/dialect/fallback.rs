//! What other databases do in one statement, in several.

use diesel::QueryResult;

use super::Dialect;
use super::change::{Change, Claims, NewFlow};
use super::rows::{ClaimedRow, InsertedRow};
use super::sql::shared::{
    DueFlows, InsertArtefact, InsertCreation, InsertHistory, InsertPlainHistory,
};
use super::sql::statement::{Bind, Statement};

pub(super) fn insert<C: Dialect>(conn: &mut C, change: &Change<'_>) -> QueryResult<()> {
    let notes = change.notes;
    for (at, entry) in change.entries().enumerate() {
        let first = at == 0;
        let [id, seq] = [Bind::Int(change.id), Bind::Int(entry.seq)];
        let [transition, from, to] =
            [entry.link.transition, entry.from, entry.link.to].map(Bind::Text);
        let (attempt, token) = (Bind::Int(entry.attempt.into()), Bind::Text(&notes.token));
        let error = notes.error.as_deref().filter(|_| first);
        let metadata = notes.metadata.as_deref().filter(|_| first);
        let actor = notes.actor.as_deref();
        if error.or(metadata).or(actor).is_none() {
            conn.run::<InsertPlainHistory>(&[id, seq, transition, from, to, attempt, token])?;
        } else {
            let [error, actor, metadata] = [error, actor, metadata].map(Bind::Maybe);
            conn.run::<InsertHistory>(&[
                id, seq, transition, from, to, attempt, error, actor, metadata, token,
            ])?;
        }
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

/// New records one by one.
pub(super) fn insert_each<C: Dialect>(
    conn: &mut C,
    flow: &NewFlow<'_>,
    all: &[String],
) -> QueryResult<Vec<InsertedRow>> {
    let mut inserted = Vec::with_capacity(all.len());
    for props in all {
        // without a key there is nothing that could be in the way
        inserted.extend(conn.insert(&NewFlow { props, ..*flow })?);
    }
    Ok(inserted)
}

/// The same, but for the first rows of their histories, which `note` writes all at once: it is given
/// a name, a token and the ids.
#[cfg(feature = "mysql")]
pub(super) fn insert_all<C: Dialect>(
    conn: &mut C,
    flow: &NewFlow<'_>,
    all: &[String],
    note: impl FnOnce(&mut C, &[Bind<'_>]) -> QueryResult<usize>,
) -> QueryResult<Vec<InsertedRow>> {
    let mut inserted = Vec::with_capacity(all.len());
    for props in all {
        inserted.extend(conn.insert_flow(&NewFlow { props, ..*flow })?);
    }
    let ids = ids_json(inserted.iter().map(|row| row.id));
    note(conn, &[Bind::Text(CREATE), Bind::Text(flow.token), Bind::Text(&ids)])?;
    Ok(inserted)
}

/// A batch of claims where no statement gives back what it has changed: the rows are read under
/// their locks, then `take` moves those whose ids it is given, as a JSON array, writes their history
/// and says when. `LastTaken` says of each when one of several transitions was last taken.
pub(super) fn claim<C: Dialect, LastTaken: Statement>(
    conn: &mut C,
    claims: &Claims<'_>,
    take: impl FnOnce(&mut C, &str) -> QueryResult<Option<String>>,
) -> QueryResult<Vec<ClaimedRow>> {
    let [flow, from] = [Bind::Text(claims.flow), Bind::Text(claims.from)];
    let binds = [flow, from, Bind::Int(claims.reach), Bind::Int(claims.limit)];
    let mut rows = conn.flows::<DueFlows>(&binds)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = ids_json(rows.iter().map(|row| row.id));
    let taken_at = take(conn, &ids)?;
    let finishes = match claims.finishes {
        Some(finishes) => conn.counts::<LastTaken>(&[Bind::Text(finishes), Bind::Text(&ids)])?,
        None => Vec::new(),
    };
    for row in &mut rows {
        claims.link.to.clone_into(&mut row.state);
        row.seq += 1;
        (row.due_at, row.completed_at, row.last_errored_at) = (None, None, None);
        if let Some(taken_at) = &taken_at {
            row.updated_at.clone_from(taken_at);
        }
    }
    let claimed = rows.into_iter().map(|row| {
        let finish = finishes.iter().find(|finish| finish.label.parse() == Ok(row.id));
        let last_finish = finish.map(|finish| finish.number).filter(|seq| *seq >= 0);
        ClaimedRow { row, last_finish }
    });
    Ok(claimed.collect())
}

/// What [`claim`]'s `take` binds for the history.
pub(super) fn note_binds<'a>(claims: &Claims<'a>, ids: &'a str) -> [Bind<'a>; 5] {
    [
        Bind::Text(claims.link.transition),
        Bind::Text(claims.from),
        Bind::Text(claims.lease.1),
        Bind::Text(claims.token),
        Bind::Text(ids),
    ]
}

fn ids_json(ids: impl Iterator<Item = i64>) -> String {
    let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
    format!("[{}]", ids.join(","))
}
