//! The newest artefact of a name, as it is stored.

use diesel::QueryResult;

use crate::dialect::Dialect;
use crate::dialect::rows::ArtefactRow;
use crate::dialect::sql::shared::{
    NewestArtefact, NewestArtefactAmong, NewestArtefactAmongOf, NewestArtefactOf,
};
use crate::dialect::sql::statement::{Bind, Current, Statement};

/// An artefact as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) json: String,
    /// `None` for one that this program has just written.
    pub(crate) version: Option<i64>,
}

impl From<ArtefactRow> for Stored {
    fn from(row: ArtefactRow) -> Self {
        Self { json: row.payload, version: Some(row.version) }
    }
}

/// The newest artefact of a record by its name, or by an earlier name of it. With `flow`
/// only if the record is of this flow: for where nothing holds its row against what is remembered.
pub(crate) fn newest_artefact<C: Dialect>(
    conn: &mut C,
    id: i64,
    flow: Option<&str>,
    names: (&str, &[&str]),
) -> QueryResult<Option<Stored>> {
    // an inner transaction may see what was there when the outer one first read
    let has_read = conn.depth()? > 1;
    Ok(newest_row(conn, id, flow, names, has_read)?.map(Stored::from))
}

/// As [`newest_artefact`], as a row. `has_read`: the transaction may still see what was there when it
/// first read.
pub(crate) fn newest_row<C: Dialect>(
    conn: &mut C,
    id: i64,
    flow: Option<&str>,
    (name, aliases): (&str, &[&str]),
    has_read: bool,
) -> QueryResult<Option<ArtefactRow>> {
    let among;
    let name = if aliases.is_empty() {
        name
    } else {
        among = names_json(std::iter::once(name).chain(aliases.iter().copied()));
        &among
    };
    let binds = [Bind::Int(id), Bind::Text(name), Bind::Maybe(flow)];
    let binds = if flow.is_some() { &binds[..] } else { &binds[..2] };
    match (aliases, flow) {
        ([], None) => first::<C, NewestArtefact>(conn, binds, has_read),
        ([], Some(_)) => first::<C, NewestArtefactOf>(conn, binds, has_read),
        (_, None) => first::<C, NewestArtefactAmong>(conn, binds, has_read),
        (_, Some(_)) => first::<C, NewestArtefactAmongOf>(conn, binds, has_read),
    }
}

fn first<C: Dialect, S: Statement>(
    conn: &mut C,
    binds: &[Bind<'_>],
    has_read: bool,
) -> QueryResult<Option<ArtefactRow>> {
    let rows =
        if has_read { conn.artefacts::<Current<S>>(binds) } else { conn.artefacts::<S>(binds) };
    Ok(rows?.into_iter().next())
}

/// Stored names as a JSON array.
pub(crate) fn names_json<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(names).to_string()
}
