//! Rows as records: the one place where stored names and JSON become the user's types.

use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use flowstate::{Artefact, Flow, Record, Row, State, TransactionOutcome};
use serde::Deserializer;
use serde::de::DeserializeSeed;

use super::artefacts::Stored;
use crate::dialect::Dialect;
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{FindFlow, TokenOf};
use crate::dialect::sql::statement::{Bind, Current};
use crate::error::{Error, RecordRef, Result, What};
use crate::text::{json, time};
use crate::transaction::explain::Explain as _;
use crate::transaction::read::read;
use crate::transaction::scope;

/// Reads a row. `known` saves decoding it again if it has not changed since.
pub(crate) fn decode<F: Flow>(row: FlowRow, known: Option<&Row<F>>) -> Result<Row<F>> {
    let record = RecordRef::of::<F>(row.id);
    let is_known = |known: &&Row<F>| known.seq == row.seq && known.state.as_str() == row.state;
    if let Some(known) = known.filter(is_known) {
        // what else there is changes with the `seq`
        return Ok(Row { due_at: optional_time(row.due_at.as_deref(), record)?, ..known.clone() });
    }
    Ok(Row {
        id: row.id,
        state: state::<F>(&row.state, record)?,
        seq: row.seq,
        props: Arc::new(props(&row.props, row.props_version, record)?),
        key: row.key.map(Into::into),
        attempts: row.attempts,
        due_at: optional_time(row.due_at.as_deref(), record)?,
        completed_at: optional_time(row.completed_at.as_deref(), record)?,
        last_errored_at: optional_time(row.last_errored_at.as_deref(), record)?,
        created_at: required_time(&row.created_at, record)?,
        updated_at: required_time(&row.updated_at, record)?,
    })
}

pub(crate) fn record<F: Flow>(
    row: FlowRow,
    outcome: Option<TransactionOutcome>,
) -> Result<F::Record> {
    Ok(Record::read_in(outcome, decode::<F>(row, None)?).into())
}

/// The transaction in which rows are read and written now, if one is open.
pub(crate) fn outcome<C: Dialect>(
    conn: &mut C,
    record: RecordRef,
) -> Result<Option<TransactionOutcome>> {
    let position = scope::position(conn).explain_for(conn, record)?;
    Ok(position.outcome())
}

/// Refuses a record that was created in a transaction which rolled back: its id may be another's.
pub(crate) fn present<F: Flow, C: Dialect>(flow: &Record<F>, conn: &mut C) -> Result<RecordRef> {
    let record = RecordRef::of::<F>(flow.id());
    if flow.is_unborn() {
        return Err(Error::NotFound { record });
    }
    // of a transaction of others nobody tells the end, but what it has written
    let Some(token) = flow.birth_token() else { return Ok(record) };
    let is_inside = conn.depth().is_ok_and(|depth| depth > 0);
    let first = [Bind::Int(flow.id()), Bind::Int(0)];
    let found = read(conn, record, |conn| {
        if is_inside {
            conn.counts::<Current<TokenOf>>(&first)
        } else {
            conn.counts::<TokenOf>(&first)
        }
    })?;
    let is_there = found.first().is_some_and(|row| row.label == token);
    if is_there { Ok(record) } else { Err(Error::NotFound { record }) }
}

/// Refuses a row that is another record than the one that is remembered: ids are given again where
/// tables are emptied, or a backup is restored.
pub(crate) fn refuse_another<F: Flow>(flow: &Record<F>, row: &FlowRow) -> Result<()> {
    let record = RecordRef::of::<F>(flow.id());
    let born = required_time(&row.created_at, record)?;
    if born == flow.created_at() { Ok(()) } else { Err(Error::NotFound { record }) }
}

/// Reads props that were written as this version.
pub(crate) fn props<F: Flow>(text: &str, version: i64, record: RecordRef) -> Result<F> {
    let what = || What::Props;
    let version = known(version, F::VERSION, record, what)?;
    json::decode_by(PropsOf::<F>(version, PhantomData), text, record, what)
}

/// Reads an artefact as its type.
pub(crate) fn artefact<F: Flow, A: Artefact<F>>(stored: &Stored, record: RecordRef) -> Result<A> {
    let what = || What::Artefact(A::NAME.to_owned());
    let version = stored.version.unwrap_or(A::VERSION.into());
    let version = known(version, A::VERSION, record, what)?;
    json::decode_by(ArtefactOf::<F, A>(version, PhantomData), &stored.json, record, what)
}

/// The version of what is stored, if this program can read it.
fn known(found: i64, known: u32, record: RecordRef, what: impl Fn() -> What) -> Result<u32> {
    let version = u32::try_from(found).ok().filter(|version| (1..=known).contains(version));
    version.ok_or_else(|| Error::UnknownVersion { record, what: what(), found, known })
}

/// Reads props of a version.
struct PropsOf<F>(u32, PhantomData<F>);

impl<'de, F: Flow> DeserializeSeed<'de> for PropsOf<F> {
    type Value = F;

    fn deserialize<D: Deserializer<'de>>(self, props: D) -> Result<F, D::Error> {
        F::read_version(self.0, props)
    }
}

/// Reads an artefact of a version.
struct ArtefactOf<F, A>(u32, PhantomData<(F, A)>);

impl<'de, F: Flow, A: Artefact<F>> DeserializeSeed<'de> for ArtefactOf<F, A> {
    type Value = A;

    fn deserialize<D: Deserializer<'de>>(self, payload: D) -> Result<A, D::Error> {
        A::read_version(self.0, payload)
    }
}

impl<F> Clone for PropsOf<F> {
    fn clone(&self) -> Self {
        Self(self.0, PhantomData)
    }
}

impl<F, A> Clone for ArtefactOf<F, A> {
    fn clone(&self) -> Self {
        Self(self.0, PhantomData)
    }
}

pub(crate) fn state<F: Flow>(name: &str, record: RecordRef) -> Result<F::State> {
    name.parse().map_err(|_| Error::UnknownState { record, state: name.to_owned() })
}

/// The name under which a state is stored, and those of before.
pub(crate) fn stored_names<S: State>(state: S) -> impl Iterator<Item = &'static str> {
    let definition = state.definition();
    std::iter::once(definition.name).chain(definition.aliases.iter().copied())
}

pub(crate) fn required_time(text: &str, record: RecordRef) -> Result<DateTime<Utc>> {
    time::parse(text).ok_or_else(|| Error::CorruptTime { record, found: text.to_owned() })
}

pub(crate) fn optional_time(
    text: Option<&str>,
    record: RecordRef,
) -> Result<Option<DateTime<Utc>>> {
    text.map(|text| required_time(text, record)).transpose()
}

/// Reads the row of a record.
pub(crate) fn fetch<F: Flow, C: Dialect>(conn: &mut C, id: i64) -> Result<FlowRow> {
    let record = RecordRef::of::<F>(id);
    let row = under_a_name::<F, _>(|name| {
        let binds = [Bind::Int(id), Bind::Text(name)];
        Ok(read(conn, record, |conn| conn.flows::<FindFlow>(&binds))?.into_iter().next())
    })?;
    row.ok_or(Error::NotFound { record })
}

/// What `find` finds under the name of a flow, or under one that it had: a record keeps the name
/// under which it was created.
pub(crate) fn under_a_name<F: Flow, T>(
    mut find: impl FnMut(&'static str) -> Result<Option<T>>,
) -> Result<Option<T>> {
    for name in F::DEFINITION.names() {
        if let Some(found) = find(name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What `find` finds under the name of a flow and those that it had.
pub(crate) fn under_all_names<F: Flow, T>(
    mut find: impl FnMut(&'static str) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let mut all = find(F::NAME)?;
    for name in F::ALIASES {
        all.extend(find(name)?);
    }
    Ok(all)
}
