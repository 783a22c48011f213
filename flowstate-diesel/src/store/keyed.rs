//! New records under a key that one record alone may have.

use std::time::Duration;

use flowstate::Flow;
use serde::Deserialize;

use super::create::{about_new, encode, finish, insert, insert_at_once, new};
use super::once::Once;
use crate::dialect::Dialect;
use crate::dialect::change::NewFlow;
use crate::dialect::fault::{Failure, Fault};
use crate::dialect::rows::FlowRow;
use crate::dialect::sql::shared::{FindKey, FindSingle, MadeWith};
use crate::dialect::sql::statement::{Bind, Current, Statement};
use crate::error::{ConflictReason, Error, RecordRef, Result, What};
use crate::text::json;
use crate::transaction;
use crate::transaction::explain::{Explain as _, explain};
use crate::transaction::token::token;
use crate::transition::decode;
use crate::transition::labels;
use crate::transition::trace;

/// What the history keeps of a keyed creation: the props may change, and a later start with the
/// same key must still be recognized.
#[derive(Deserialize)]
struct CreatedWith {
    created_with: serde_json::Value,
    /// Left out if it is the first.
    #[serde(default = "first")]
    version: i64,
}

fn first() -> i64 {
    1
}

impl CreatedWith {
    fn json<F: Flow>(props: &str) -> String {
        match F::VERSION {
            1 => format!("{{\"created_with\":{props}}}"),
            version => format!("{{\"created_with\":{props},\"version\":{version}}}"),
        }
    }
}

/// How often a record may come and go under a key before a call that is looking for it gives up.
const MOST_GLIMPSES: u32 = 20;

/// The record that has the key until it is destroyed, new or not.
pub(crate) fn create_once<F: Flow, C: Dialect>(
    flow: F,
    key: &str,
    conn: &mut C,
) -> Result<Once<F::Record>> {
    json::check_text(key, RecordRef::new::<F>(), What::Key)?;
    let props = encode(&flow)?;
    let created_with = CreatedWith::json::<F>(&props);
    json::check_wrapped(&created_with, RecordRef::new::<F>())?;
    let (context, token) = (trace::current(), token()?);
    let new = new::<F>(&props, Duration::ZERO, (&token, &context))?;
    let new = NewFlow { key: Some(key), metadata: Some(&created_with), ..new };
    create_or_find(flow, &new, conn, &mut |conn| existing::<F, C>(conn, &props, key))
}

/// The record that has the key until it is completed, new or not.
pub(crate) fn create_single<F: Flow, C: Dialect>(
    flow: F,
    key: &str,
    conn: &mut C,
) -> Result<Once<F::Record>> {
    json::check_text(key, RecordRef::new::<F>(), What::Key)?;
    let (props, context, token) = (encode(&flow)?, trace::current(), token()?);
    let new = new::<F>(&props, Duration::ZERO, (&token, &context))?;
    let new = NewFlow { key: Some(key), is_single: true, ..new };
    create_or_find(flow, &new, conn, &mut |conn| {
        let row = having_key::<F, C, FindSingle>(conn, key)?;
        row.map(|row| decode::record::<F>(row, decode::outcome(conn, RecordRef::new::<F>())?))
            .transpose()
    })
}

/// Inserts a record, unless its key is taken: then `find` finds the one that has it, if it still
/// does.
fn create_or_find<F: Flow, C: Dialect>(
    flow: F,
    new: &NewFlow<'_>,
    conn: &mut C,
    find: &mut dyn FnMut(&mut C) -> Result<Option<F::Record>>,
) -> Result<Once<F::Record>> {
    let labels = labels::of(&flow, RecordRef::new::<F>())?;
    // the database holds a key under one name only
    let has_former_names = !F::ALIASES.is_empty();
    if !has_former_names && let Some(inserted) = insert_at_once::<F, C>(conn, new, &labels)? {
        return finish(flow, Some(inserted), new, conn).map(Once::Created);
    }
    let found = transaction::run(conn, &mut |conn| {
        // between two statements others may end the record that has the key, and create another
        for _ in 0..MOST_GLIMPSES {
            if has_former_names && let Some(record) = find(conn)? {
                return Ok(Err(record));
            }
            if let Some(inserted) = insert::<F, C>(conn, new, &labels)? {
                return Ok(Ok(inserted));
            }
            if let Some(record) = find(conn)? {
                return Ok(Err(record));
            }
        }
        let fault = Fault::conflict_with(ConflictReason::Serialization);
        let failure = Failure::Noticed(fault, "the record that has the key comes and goes");
        Err(explain(conn, Some(RecordRef::new::<F>()), failure))
    })
    .map_err(about_new::<F>)?;
    match found {
        Ok(inserted) => finish(flow, Some(inserted), new, conn).map(Once::Created),
        Err(record) => Ok(Once::Existing(record)),
    }
}

/// The record that has the key, if it was created with the same props. `None` if no record has it
/// any more.
fn existing<F: Flow, C: Dialect>(
    conn: &mut C,
    props: &str,
    key: &str,
) -> Result<Option<F::Record>> {
    let Some(row) = having_key::<F, C, FindKey>(conn, key)? else { return Ok(None) };
    let record = RecordRef::of::<F>(row.id);
    let id = [Bind::Int(row.id)];
    let made = if is_nested(conn) {
        conn.counts::<Current<MadeWith>>(&id)
    } else {
        conn.counts::<MadeWith>(&id)
    };
    let made = made.explain_for(conn, record)?;
    let Some(made) = made.first() else {
        // it has lost its beginning, or is gone
        let still = having_key::<F, C, FindKey>(conn, key)?.is_some_and(|still| still.id == row.id);
        let conflict = || Error::KeyConflict { record, key: key.to_owned() };
        return if still { Err(conflict()) } else { Ok(None) };
    };
    let created: CreatedWith = json::decode(&made.label, record, || What::Metadata)?;
    let created = decode::props::<F>(&created.created_with.to_string(), created.version, record)?;
    let created = json::encode(&created, record, || What::Props)?;
    let again = |text: &str| {
        let flow = json::decode::<F>(text, record, || What::Props).ok()?;
        json::encode(&flow, record, || What::Props).ok()
    };
    if json::is_same(&created, props, again) {
        decode::record::<F>(row, decode::outcome(conn, record)?).map(Some)
    } else {
        Err(Error::KeyConflict { record, key: key.to_owned() })
    }
}

/// The row that a statement finds by a key.
fn having_key<F: Flow, C: Dialect, Find: Statement>(
    conn: &mut C,
    key: &str,
) -> Result<Option<FlowRow>> {
    decode::under_a_name::<F, _>(|name| {
        let binds = [Bind::Text(name), Bind::Text(key)];
        let rows = if is_nested(conn) {
            conn.flows::<Current<Find>>(&binds)
        } else {
            conn.flows::<Find>(&binds)
        };
        Ok(rows.explain_for(conn, RecordRef::new::<F>())?.into_iter().next())
    })
}

/// Whether the transaction is an inner one: it may see what was there when the outer one first read.
fn is_nested<C: Dialect>(conn: &mut C) -> bool {
    conn.depth().is_ok_and(|depth| depth > 1)
}
