//! New records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use flowstate::{Flow, Record, Row, State as _};
use serde::Deserialize;

use super::once::Once;
use crate::dialect::Dialect;
use crate::dialect::change::NewFlow;
use crate::dialect::change::Timing;
use crate::dialect::fault::{Failure, Fault};
use crate::dialect::rows::{FlowRow, InsertedRow};
use crate::dialect::sql::shared::{FindKey, MadeWith};
use crate::dialect::sql::statement::{Bind, Current};
use crate::error::unconfirmed::Mark;
use crate::error::{ConflictReason, Error, RecordRef, Result, What};
use crate::text::json;
use crate::text::json::MAX_JSON_BYTES;
use crate::transaction;
use crate::transaction::autocommit;
use crate::transaction::explain::explain;
use crate::transaction::notify;
use crate::transaction::notify::Notification;
use crate::transaction::scope;
use crate::transaction::token::token;
use crate::transition::decode;
use crate::transition::labels;
use crate::transition::labels::Labels;

/// What the history keeps of a keyed creation: the props may change, and a later start with the
/// same key must still be recognized.
#[derive(Deserialize)]
struct CreatedWith<F> {
    created_with: F,
}

/// How many records go to the database at once: more make nothing faster.
const MOST_AT_ONCE: usize = 500;
/// With so many bytes of props: servers take no message of any length.
const BYTES_AT_ONCE: usize = MAX_JSON_BYTES;

/// How often a record may come and go under a key before a call that is looking for it gives up.
const MOST_GLIMPSES: u32 = 20;

/// The key of a new record, and the metadata by which a later start with it is recognized.
#[derive(Clone, Copy)]
struct Keyed<'a> {
    key: &'a str,
    created_with: &'a str,
}

/// When workers may take a new record, by the database's clock.
#[derive(Clone, Copy)]
pub(crate) enum Due {
    In(Duration),
    At(DateTime<Utc>),
}

/// The year 9000: the databases know no years of more than four digits.
const LATEST: DateTime<Utc> = match DateTime::from_timestamp(221_845_392_000, 0) {
    Some(time) => time,
    None => DateTime::<Utc>::MAX_UTC,
};

pub(crate) fn create<F: Flow, C: Dialect>(flow: F, due: Due, conn: &mut C) -> Result<F::Record> {
    let props = encode(&flow)?;
    let labels = labels::of(&flow, RecordRef::new::<F>())?;
    let token = token()?;
    let new = match due {
        Due::In(delay) => new::<F>(&props, None, delay, &token)?,
        Due::At(time) => {
            let new = new::<F>(&props, None, Duration::ZERO, &token)?;
            let time = time.clamp(DateTime::UNIX_EPOCH, LATEST);
            NewFlow { due_at: new.timing.due_in.map(|_| time), ..new }
        }
    };
    let mut inserted = insert_at_once::<F, C>(conn, &new, &labels)?;
    if inserted.is_none() {
        inserted = transaction::run(conn, &mut |conn| insert::<F, C>(conn, &new, &labels))
            .map_err(about_new::<F>)?;
    }
    finish(flow, inserted, &new, conn)
}

pub(crate) fn create_many<F: Flow, C: Dialect>(
    flows: Vec<F>,
    conn: &mut C,
) -> Result<Vec<F::Record>> {
    let props: Vec<_> = flows.iter().map(encode).collect::<Result<_>>()?;
    let labels = flows.iter().map(|flow| labels::of(flow, RecordRef::new::<F>()));
    let labels: Vec<_> = labels.collect::<Result<_>>()?;
    if props.is_empty() {
        return Ok(Vec::new());
    }
    let token = token()?;
    let new = new::<F>("", None, Duration::ZERO, &token)?;
    let inserted = transaction::run(conn, &mut |conn| {
        let mut rows = Vec::with_capacity(props.len());
        for chunk in chunks(&props) {
            let inserted = conn.insert_many(&new, chunk);
            let inserted =
                inserted.map_err(|error| explain(conn, Some(RecordRef::new::<F>()), error))?;
            rows.extend(inserted);
        }
        for (row, labels) in rows.iter().zip(&labels) {
            labels::insert(conn, RecordRef::of::<F>(row.id), row.id, labels)?;
        }
        if let Some(last) = rows.last() {
            let record = RecordRef::of::<F>(last.id);
            let notification = Notification::of_new(&new);
            scope::set_mark(
                conn,
                Mark::created(record, token.clone(), Instant::now()),
                notification,
            );
        }
        Ok(rows)
    })
    .map_err(about_new::<F>)?;
    let inserted = inserted.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
    flows.into_iter().zip(inserted).map(|(flow, row)| finish(flow, row, &new, conn)).collect()
}

/// What goes to the database at once, however many there are: at most [`MOST_AT_ONCE`] records and
/// [`BYTES_AT_ONCE`], or one record.
fn chunks(mut all: &[String]) -> impl Iterator<Item = &[String]> {
    std::iter::from_fn(move || {
        let mut bytes = 0_usize;
        let fits = |props: &&String| {
            bytes = bytes.saturating_add(props.len());
            bytes <= BYTES_AT_ONCE
        };
        let fitting = all.iter().take(MOST_AT_ONCE).take_while(fits).count();
        let (chunk, rest) = all.split_at(fitting.max(1).min(all.len()));
        all = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

pub(crate) fn create_once<F: Flow, C: Dialect>(
    flow: F,
    key: &str,
    conn: &mut C,
) -> Result<Once<F::Record>> {
    json::check_text(key, RecordRef::new::<F>(), What::Key)?;
    let props = encode(&flow)?;
    let created_with = format!("{{\"created_with\":{props}}}");
    json::check_wrapped(&created_with, RecordRef::new::<F>())?;
    let keyed = Some(Keyed { key, created_with: &created_with });
    let labels = labels::of(&flow, RecordRef::new::<F>())?;
    let token = token()?;
    let new = new::<F>(&props, keyed, Duration::ZERO, &token)?;
    if let Some(inserted) = insert_at_once::<F, C>(conn, &new, &labels)? {
        return finish(flow, Some(inserted), &new, conn).map(Once::Created);
    }
    let found = transaction::run(conn, &mut |conn| {
        // between two statements others may destroy the record that has the key, and create another
        for _ in 0..MOST_GLIMPSES {
            if let Some(inserted) = insert::<F, C>(conn, &new, &labels)? {
                return Ok(Ok(inserted));
            }
            if let Some(record) = existing::<F, C>(conn, &props, key)? {
                return Ok(Err(record));
            }
        }
        let fault = Fault::conflict_with(ConflictReason::Serialization);
        let failure = Failure::Noticed(fault, "the record that has the key comes and goes");
        Err(explain(conn, Some(RecordRef::new::<F>()), failure))
    })
    .map_err(about_new::<F>)?;
    match found {
        Ok(inserted) => finish(flow, Some(inserted), &new, conn).map(Once::Created),
        Err(record) => Ok(Once::Existing(record)),
    }
}

fn about_new<F: Flow>(error: Error) -> Error {
    error.about(RecordRef::new::<F>())
}

fn encode<F: Flow>(flow: &F) -> Result<String> {
    json::encode(flow, RecordRef::new::<F>(), || What::Props)
}

/// Inserts the row and its first history row with one statement, where that is a transaction of its
/// own, and it has no labels. `None` if it was not to be: nothing is written then.
fn insert_at_once<F: Flow, C: Dialect>(
    conn: &mut C,
    new: &NewFlow<'_>,
    labels: &Labels,
) -> Result<Option<InsertedRow>> {
    if !labels.is_empty() || !autocommit::possible(conn) {
        return Ok(None);
    }
    let mark = Mark::created(RecordRef::new::<F>(), new.token.to_owned(), Instant::now());
    let inserted = autocommit::run(conn, &mark, |conn| conn.insert_at_once(new))?;
    if inserted.is_some() {
        notify::committed(Notification::of_new(new));
    }
    Ok(inserted)
}

/// Inserts the row, its first history row and its labels. `None` if the key is taken.
fn insert<F: Flow, C: Dialect>(
    conn: &mut C,
    new: &NewFlow<'_>,
    labels: &Labels,
) -> Result<Option<InsertedRow>> {
    let record = RecordRef::new::<F>();
    let written = conn.insert(new).map_err(|error| explain(conn, Some(record), error))?;
    if let Some(row) = &written {
        labels::insert(conn, RecordRef::of::<F>(row.id), row.id, labels)?;
        let mark = Mark::created(RecordRef::of::<F>(row.id), new.token.to_owned(), Instant::now());
        scope::set_mark(conn, mark, Notification::of_new(new));
    }
    Ok(written)
}

fn new<'a, F: Flow>(
    props: &'a str,
    keyed: Option<Keyed<'a>>,
    delay: Duration,
    token: &'a str,
) -> Result<NewFlow<'a>> {
    let state = initial::<F>()?;
    let (state_name, completes) = (state.as_str(), state.is_completed());
    let timing = Timing::on_arrival(F::DEFINITION, state.as_str(), delay);
    let (key, metadata) = (keyed.map(|keyed| keyed.key), keyed.map(|keyed| keyed.created_with));
    Ok(NewFlow {
        flow: F::NAME,
        state: state_name,
        completes,
        props,
        key,
        timing,
        due_at: None,
        token,
        metadata,
    })
}

fn initial<F: Flow>() -> Result<F::State> {
    let initial = F::DEFINITION.initial;
    let (record, state) = (RecordRef::new::<F>(), initial.to_owned());
    initial.parse().map_err(|_| Error::UnknownState { record, state })
}

/// The record as it was just inserted.
fn finish<F: Flow, C: Dialect>(
    flow: F,
    inserted: Option<InsertedRow>,
    new: &NewFlow<'_>,
    conn: &mut C,
) -> Result<F::Record> {
    let inserted = inserted.ok_or_else(|| Error::skipped(RecordRef::new::<F>()))?;
    let record = RecordRef::of::<F>(inserted.id);
    let state = initial::<F>()?;
    let created_at = decode::required_time(&inserted.created_at, record)?;
    let row = Row {
        id: inserted.id,
        state,
        seq: 0,
        props: Arc::new(flow),
        key: new.key.map(Into::into),
        attempts: 0,
        due_at: decode::optional_time(inserted.due_at.as_deref(), record)?,
        completed_at: state.is_completed().then_some(created_at),
        last_errored_at: None,
        created_at,
        updated_at: created_at,
    };
    Ok(Record::created_in(decode::outcome(conn, record)?, row, new.token).into())
}

/// The record that has the key, if it was created with the same props. `None` if no record has it
/// any more.
fn existing<F: Flow, C: Dialect>(
    conn: &mut C,
    props: &str,
    key: &str,
) -> Result<Option<F::Record>> {
    // an inner transaction may see what was there when the outer one first read
    let nested = conn.depth().is_ok_and(|depth| depth > 1);
    let Some(row) = having_key::<F, C>(conn, key, nested)? else { return Ok(None) };
    let record = RecordRef::of::<F>(row.id);
    let id = [Bind::Int(row.id)];
    let made =
        if nested { conn.counts::<Current<MadeWith>>(&id) } else { conn.counts::<MadeWith>(&id) };
    let made = made.map_err(|error| explain(conn, Some(record), error))?;
    let Some(made) = made.first() else {
        // it has lost its beginning, or is gone
        let still = having_key::<F, C>(conn, key, nested)?.is_some_and(|still| still.id == row.id);
        let conflict = || Error::KeyConflict { record, key: key.to_owned() };
        return if still { Err(conflict()) } else { Ok(None) };
    };
    let created = json::decode::<CreatedWith<F>>(&made.label, record, || What::Metadata)?;
    let created = json::encode(&created.created_with, record, || What::Props)?;
    let again = |text: &str| {
        let flow = decode::props::<F>(text, record).ok()?;
        json::encode(&flow, record, || What::Props).ok()
    };
    if json::is_same(&created, props, again) {
        decode::record::<F>(row, decode::outcome(conn, record)?).map(Some)
    } else {
        Err(Error::KeyConflict { record, key: key.to_owned() })
    }
}

fn having_key<F: Flow, C: Dialect>(
    conn: &mut C,
    key: &str,
    nested: bool,
) -> Result<Option<FlowRow>> {
    let binds = [Bind::Text(F::NAME), Bind::Text(key)];
    let rows =
        if nested { conn.flows::<Current<FindKey>>(&binds) } else { conn.flows::<FindKey>(&binds) };
    let rows = rows.map_err(|error| explain(conn, Some(RecordRef::new::<F>()), error))?;
    Ok(rows.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::{BYTES_AT_ONCE, chunks};

    fn lengths(props: &[usize]) -> Vec<usize> {
        let props: Vec<_> = props.iter().map(|&bytes| " ".repeat(bytes)).collect();
        chunks(&props).map(<[String]>::len).collect()
    }

    #[test]
    fn chunks_are_of_records_and_bytes() {
        assert_eq!(lengths(&[]), [0_usize; 0]);
        assert_eq!(lengths(&[1; 1001]), [500, 500, 1]);
        let half = BYTES_AT_ONCE / 2;
        assert_eq!(lengths(&[half, half, half + 1, half, 1]), [2, 1, 2]);
        assert_eq!(lengths(&[BYTES_AT_ONCE + 1, 1, BYTES_AT_ONCE]), [1, 1, 1]);
    }
}
