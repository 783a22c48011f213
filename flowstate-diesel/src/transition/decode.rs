//! Rows as records: the one place where stored names and JSON become the user's types.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use flowstate::{Flow, Record, Row, State as _, TransactionOutcome};

use crate::dialect::Dialect;
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{FindFlow, TokenOf};
use crate::dialect::sql::statement::{Bind, Current};
use crate::error::{Error, RecordRef, Result, What};
use crate::text::{json, time};
use crate::transaction::explain::explain;
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
        props: Arc::new(props(&row.props, record)?),
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
    let position = scope::position(conn).map_err(|error| explain(conn, Some(record), error))?;
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

pub(crate) fn props<F: Flow>(text: &str, record: RecordRef) -> Result<F> {
    json::decode(text, record, || What::Props)
}

pub(crate) fn state<F: Flow>(name: &str, record: RecordRef) -> Result<F::State> {
    name.parse().map_err(|_| Error::UnknownState { record, state: name.to_owned() })
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
pub(crate) fn fetch<C: Dialect>(conn: &mut C, record: RecordRef, id: i64) -> Result<FlowRow> {
    let binds = [Bind::Int(id), Bind::Text(record.flow)];
    let rows = read(conn, record, |conn| conn.flows::<FindFlow>(&binds))?;
    rows.into_iter().next().ok_or(Error::NotFound { record })
}
