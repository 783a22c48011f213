//! New records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use flowstate::{Flow, Record, Row, State as _};

use crate::dialect::Dialect;
use crate::dialect::change::{Creation, Landing, NewFlow, Props};
use crate::dialect::rows::InsertedRow;
use crate::dialect::write_queue::{Offered, Turn, Written};
use crate::error::unconfirmed::Mark;
use crate::error::{Error, RecordRef, Result, What};
use crate::metrics;
use crate::metrics::{CREATE, Taken};
use crate::text::json;
use crate::text::json::MAX_JSON_BYTES;
use crate::transaction;
use crate::transaction::autocommit;
use crate::transaction::explain::Explain as _;
use crate::transaction::group;
use crate::transaction::notify;
use crate::transaction::notify::Notification;
use crate::transaction::parts::chunks;
use crate::transaction::scope;
use crate::transaction::token::token;
use crate::transition::decode;
use crate::transition::labels;
use crate::transition::labels::Labels;
use crate::transition::trace;

/// How many records go to the database at once: more make nothing faster.
const MOST_AT_ONCE: usize = 500;
/// With so many bytes of props: servers take no message of any length.
const BYTES_AT_ONCE: usize = MAX_JSON_BYTES;

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
    let (context, token) = (trace::current(), token()?);
    let new = match due {
        Due::In(delay) => new::<F>(&props, delay, (&token, &context))?,
        Due::At(time) => {
            let new = new::<F>(&props, Duration::ZERO, (&token, &context))?;
            let time = time.clamp(DateTime::UNIX_EPOCH, LATEST);
            NewFlow { due_at: new.landing.timing.due_in.map(|_| time), ..new }
        }
    };
    let mut turn = None;
    let mut inserted = insert_at_once::<F, C>(conn, &new, &labels)?;
    if inserted.is_none() {
        inserted = offer::<F, C>(conn, &new, &labels, &mut turn)?;
    }
    if inserted.is_none() {
        inserted = transaction::run_in(conn, turn, &mut |conn| insert::<F, C>(conn, &new, &labels))
            .map_err(about_new::<F>)?;
    }
    finish(flow, inserted, &new, conn)
}

/// Has another thread insert the row, where this one would have to wait for it. `None` if that was not
/// to be: `turn` is set then if it is ours to insert it.
fn offer<F: Flow, C: Dialect>(
    conn: &mut C,
    new: &NewFlow<'_>,
    labels: &Labels,
    turn: &mut Option<Turn>,
) -> Result<Option<InsertedRow>> {
    if C::ONE_STATEMENT || !labels.is_empty() || !group::can_offer(conn, turn) {
        return Ok(None);
    }
    let Some(creation) = Creation::of(new) else { return Ok(None) };
    let mark = Mark::created(RecordRef::new::<F>(), new.token.to_owned(), Instant::now());
    match group::offer(conn, &mark, turn, Offered::Creation(creation))? {
        Some(Written::Created(row)) => {
            note_committed::<F>(new);
            Ok(Some(row))
        }
        Some(Written::Moved(_)) | None => Ok(None),
    }
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
    let (context, token) = (trace::current(), token()?);
    let new = new::<F>("", Duration::ZERO, (&token, &context))?;
    let inserted = transaction::run(conn, &mut |conn| {
        let mut rows = Vec::with_capacity(props.len());
        for chunk in chunks(&props, MOST_AT_ONCE, BYTES_AT_ONCE, &String::len) {
            let inserted = conn.insert_many(&new, chunk);
            let inserted = inserted.explain_for(conn, RecordRef::new::<F>())?;
            rows.extend(inserted);
        }
        for (row, labels) in rows.iter().zip(&labels) {
            let record = RecordRef::of::<F>(row.id);
            labels::insert(conn, record, row.id, labels)?;
            trace::keep_with_creation(conn, new.traceparent, record, row.id)?;
        }
        if let Some(last) = rows.last() {
            let record = RecordRef::of::<F>(last.id);
            let notification = Notification::of_new(&new);
            scope::set_mark(
                conn,
                Mark::created(record, token.clone(), Instant::now()),
                notification,
            );
            note_created::<F, C>(conn, rows.len());
        }
        Ok(rows)
    })
    .map_err(about_new::<F>)?;
    let inserted = inserted.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
    flows.into_iter().zip(inserted).map(|(flow, row)| finish(flow, row, &new, conn)).collect()
}

pub(super) fn about_new<F: Flow>(error: Error) -> Error {
    error.about(RecordRef::new::<F>())
}

pub(super) fn encode<F: Flow>(flow: &F) -> Result<String> {
    json::encode(flow, RecordRef::new::<F>(), || What::Props)
}

/// Inserts the row and its first history row with one statement, where that is a transaction of its
/// own, and it has neither labels nor a trace context. `None` if it was not to be: nothing is written
/// then.
pub(super) fn insert_at_once<F: Flow, C: Dialect>(
    conn: &mut C,
    new: &NewFlow<'_>,
    labels: &Labels,
) -> Result<Option<InsertedRow>> {
    let is_more = !labels.is_empty() || new.traceparent.is_some();
    if is_more || !autocommit::possible(conn) {
        return Ok(None);
    }
    let mark = Mark::created(RecordRef::new::<F>(), new.token.to_owned(), Instant::now());
    let inserted = autocommit::run(conn, &mark, |conn| conn.insert_at_once(new))?;
    if inserted.is_some() {
        note_committed::<F>(new);
    }
    Ok(inserted)
}

/// A record was created, without a transaction of this thread's that would tell.
fn note_committed<F: Flow>(new: &NewFlow<'_>) {
    notify::committed(Notification::of_new(new));
    metrics::taken(F::NAME, CREATE, 1);
}

/// Inserts the row, its first history row and its labels. `None` if the key is taken.
pub(super) fn insert<F: Flow, C: Dialect>(
    conn: &mut C,
    new: &NewFlow<'_>,
    labels: &Labels,
) -> Result<Option<InsertedRow>> {
    let record = RecordRef::new::<F>();
    let written = conn.insert(new).explain_for(conn, record)?;
    if let Some(row) = &written {
        let record = RecordRef::of::<F>(row.id);
        labels::insert(conn, record, row.id, labels)?;
        trace::keep_with_creation(conn, new.traceparent, record, row.id)?;
        let mark = Mark::created(record, new.token.to_owned(), Instant::now());
        scope::set_mark(conn, mark, Notification::of_new(new));
        note_created::<F, C>(conn, 1);
    }
    Ok(written)
}

fn note_created<F: Flow, C: Dialect>(conn: &C, records: usize) {
    let mut taken = Taken::default();
    taken.add(F::NAME, CREATE, records);
    scope::note_taken(conn, taken);
}

pub(super) fn new<'a, F: Flow>(
    props: &'a str,
    delay: Duration,
    (token, context): (&'a str, &'a Option<String>),
) -> Result<NewFlow<'a>> {
    let state = initial::<F>()?;
    let landing = Landing::at(F::DEFINITION, state.as_str(), delay);
    Ok(NewFlow {
        flow: F::NAME,
        state: state.as_str(),
        landing,
        props: Props { json: props, version: F::VERSION },
        key: None,
        is_single: false,
        due_at: None,
        token,
        metadata: None,
        traceparent: context.as_deref(),
    })
}

fn initial<F: Flow>() -> Result<F::State> {
    let initial = F::DEFINITION.initial;
    let (record, state) = (RecordRef::new::<F>(), initial.to_owned());
    initial.parse().map_err(|_| Error::UnknownState { record, state })
}

/// The record as it was just inserted.
pub(super) fn finish<F: Flow, C: Dialect>(
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
