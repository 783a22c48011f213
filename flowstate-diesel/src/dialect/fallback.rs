//! Several statements where another database has one.

use std::collections::BTreeMap;

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error};
use serde_json::{Value, json};

use super::change::{Change, Claims, Entry, NewFlow, Payload, Props, Which};
use super::rows::{ClaimedRow, CountRow, FlowRow, InsertedRow, Stamp};
use super::sql::shared::{
    DueFlows, InsertArtefact, InsertCreation, InsertHistory, InsertPlainHistory, LockDue,
};
use super::sql::statement::{Bind, Statement};
use super::statements::Statements;

/// A database that needs several statements to write a record with its history.
pub(super) trait Fallback: Statements {
    /// Inserts the first history rows of several records. Binds a name, a token and the ids as a
    /// JSON array.
    type NoteCreations: Statement;
    /// Inserts the history rows of claims. Binds [`note_binds`].
    type NoteClaims: Statement;
    /// [`NoteClaims`](Self::NoteClaims) of a step that can be repeated: each id is an array with when
    /// the step last ended, or -1.
    type NoteVisits: Statement;

    /// Moves the row, without its history and artefacts.
    fn advance(&mut self, change: &Change<'_>) -> QueryResult<Option<Stamp>>;

    /// Inserts a row, without its history. `None` if its key is taken.
    fn insert_row(&mut self, flow: &NewFlow<'_>) -> QueryResult<Option<InsertedRow>>;

    /// Finds when one of several transitions was last taken, of each of several records, or never by
    /// -1: as far back as is looked, and from each record's `seq` on. `finishes`: their names as a JSON
    /// array; `start`: the transition that claims.
    fn last_taken(
        &mut self,
        finishes: &str,
        start: &str,
        rows: &[FlowRow],
    ) -> QueryResult<Vec<CountRow>>;

    /// Moves the rows that are claimed, by their ids as a JSON array, without their history.
    fn take(&mut self, claims: &Claims<'_>, ids: &str) -> QueryResult<Taken>;
}

/// A step that has not ended yet.
const NEVER: i64 = -1;

/// The rows that were moved by a claim.
pub(super) struct Taken {
    /// How many.
    pub(super) rows: usize,
    /// When, if that is known.
    pub(super) at: Option<String>,
}

/// How many of [`advance_binds`], at the beginning, are for columns that few changes touch: a change
/// that [is usual](Change::is_usual) binds the others.
pub(super) const RARE: usize = 3;

/// The values by which a statement moves a row. `times`: when it is due, and its deadline; `born`:
/// when it was created.
pub(super) fn advance_binds<'a>(
    change: &'a Change<'_>,
    times: [Bind<'a>; 2],
    born: Bind<'a>,
) -> [Bind<'a>; 14] {
    let (after, [due, deadline]) = (change.after(), times);
    [
        deadline,
        Bind::Maybe(change.props.map(|props| props.json)),
        Bind::MaybeInt(change.props.map(|props| props.version.into())),
        Bind::Text(after.state),
        Bind::Int(after.seq),
        Bind::Int(after.attempts.into()),
        due,
        change.landing.completes.into(),
        after.is_error.into(),
        Bind::Int(change.id),
        Bind::Int(change.before.seq),
        Bind::Text(change.record.flow),
        born,
        Bind::Maybe(change.held_by),
    ]
}

/// Moves the row, and writes its history and artefacts.
pub(super) fn write<C: Fallback>(conn: &mut C, change: &Change<'_>) -> QueryResult<Option<Stamp>> {
    let Some(stamp) = conn.advance(change)? else { return Ok(None) };
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
        keep_artefacts(conn, change.id, &entry)?;
    }
    Ok(Some(stamp))
}

/// Inserts the artefacts of a transition.
pub(super) fn keep_artefacts<C: Statements>(
    conn: &mut C,
    id: i64,
    entry: &Entry<'_>,
) -> QueryResult<()> {
    let [id, seq] = [id, entry.seq].map(Bind::Int);
    for Payload { name, json, version } in &entry.link.artefacts {
        let [name, json] = [*name, &**json].map(Bind::Text);
        let version = Bind::Int((*version).into());
        conn.run::<InsertArtefact>(&[id, name, seq, json, version])?;
    }
    Ok(())
}

/// Ends claims one after the other. Returns the ids of those that were still held.
pub(super) fn settle<'c, C: Fallback>(
    conn: &mut C,
    changes: impl Iterator<Item = &'c Change<'c>>,
) -> QueryResult<Vec<i64>> {
    let mut settled = Vec::new();
    for change in changes {
        settled.extend(write(conn, change)?.map(|_| change.id));
    }
    Ok(settled)
}

/// Inserts a record with the first row of its history. `None` if its key is taken.
pub(super) fn insert<C: Fallback>(
    conn: &mut C,
    flow: &NewFlow<'_>,
) -> QueryResult<Option<InsertedRow>> {
    let Some(row) = conn.insert_row(flow)? else { return Ok(None) };
    conn.run::<InsertCreation>(&[
        Bind::Text(NewFlow::TRANSITION),
        Bind::Maybe(flow.metadata),
        Bind::Text(flow.token),
        Bind::Int(row.id),
    ])?;
    Ok(Some(row))
}

/// Inserts records row by row, and the first rows of their histories all at once.
pub(super) fn insert_many<C: Fallback>(
    conn: &mut C,
    flow: &NewFlow<'_>,
    all: &[String],
) -> QueryResult<Vec<InsertedRow>> {
    let mut inserted = Vec::with_capacity(all.len());
    for json in all {
        // without a key there is nothing that could be in the way
        let props = Props { json, ..flow.props };
        inserted.extend(conn.insert_row(&NewFlow { props, ..*flow })?);
    }
    let ids = ids_json(inserted.iter().map(|row| row.id));
    let [name, token] = [NewFlow::TRANSITION, flow.token].map(Bind::Text);
    conn.run::<C::NoteCreations>(&[name, token, Bind::Text(&ids)])?;
    Ok(inserted)
}

/// Takes a batch of claims where no statement gives back what it has changed: the rows are read under
/// their locks, then moved.
pub(super) fn claim<C: Fallback>(
    conn: &mut C,
    claims: &Claims<'_>,
) -> QueryResult<Vec<ClaimedRow>> {
    let [flow, from] = [Bind::Text(claims.flow), Bind::Text(claims.from)];
    let mut rows = match claims.which {
        Which::Oldest { reach, but, limit } => conn.flows::<DueFlows>(&[
            flow,
            from,
            Bind::Int(reach),
            Bind::Text(but),
            Bind::Int(limit),
        ])?,
        Which::These(ids) => {
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                rows.extend(conn.flows::<LockDue>(&[Bind::Int(*id), flow, from])?);
            }
            rows
        }
    };
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = ids_json(rows.iter().map(|row| row.id));
    let taken = conn.take(claims, &ids)?;
    if taken.rows != rows.len() {
        let text = "a trigger has skipped a row that was to be claimed".to_owned();
        return Err(Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(text)));
    }
    let mut last_finishes = BTreeMap::<i64, i64>::new();
    if let Some(finishes) = claims.finishes {
        let found = conn.last_taken(finishes, claims.link.transition, &rows)?;
        last_finishes
            .extend(found.iter().filter_map(|row| Some((row.label.parse().ok()?, row.number))));
        for row in &rows {
            let is_old = row.seq >= Claims::LOOKS_BACK;
            last_finishes.entry(row.id).or_insert(if is_old { row.seq } else { NEVER });
        }
        let visits = last_finishes.iter().map(|(id, visit)| json!([id, visit]));
        let visits = visits.collect::<Value>().to_string();
        conn.run::<C::NoteVisits>(&note_binds(claims, &visits))?;
    } else {
        conn.run::<C::NoteClaims>(&note_binds(claims, &ids))?;
    }
    for row in &mut rows {
        claims.link.to.clone_into(&mut row.state);
        row.seq = row.seq.checked_add(1).ok_or_else(|| {
            let text = format!("#{} has moved as often as numbers go", row.id);
            Error::DeserializationError(text.into())
        })?;
        (row.due_at, row.completed_at, row.last_errored_at) = (None, None, None);
        if let Some(taken_at) = &taken.at {
            row.updated_at.clone_from(taken_at);
        }
    }
    let claimed = rows.into_iter().map(|row| {
        let last_finish = last_finishes.get(&row.id).copied().filter(|seq| *seq > NEVER);
        ClaimedRow { row, last_finish }
    });
    Ok(claimed.collect())
}

/// The values for the history rows of claims.
fn note_binds<'a>(claims: &Claims<'a>, ids: &'a str) -> [Bind<'a>; 5] {
    [
        Bind::Text(claims.link.transition),
        Bind::Text(claims.from),
        Bind::Text(claims.lease.1),
        Bind::Text(claims.token),
        Bind::Text(ids),
    ]
}

pub(super) fn ids_json(ids: impl Iterator<Item = i64>) -> String {
    let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
    format!("[{}]", ids.join(","))
}
