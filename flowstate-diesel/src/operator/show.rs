//! All that the tables tell of one record.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::{Error, Result};
use super::graph::Graph;
use super::reading::reading;
use super::registry::Registry;
use super::search::add_errors;
use super::standing::Standing;
use crate::dialect::Dialect;
use crate::dialect::connection::AsStore;
use crate::dialect::operate::Operate;
use crate::dialect::rows::HistoryRow;
use crate::dialect::sql::operator::{HistoryAfter, PropsOf, Stand};
use crate::dialect::sql::shared::AllArtefacts;
use crate::dialect::sql::statement::Bind;
use crate::store::history::{ArtefactEntry, HistoryEntry};
use crate::text::time;
use crate::transaction::explain::explain;

/// How many rows of a history are shown: the newest.
const SHOWN: i64 = 1_000;

/// What stands in the place of a value that is declared secret.
pub const SECRET: &str = "(secret)";

/// All that the tables tell of one record. What is declared secret is left out.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Shown {
    /// Where it stands.
    pub standing: Standing,
    /// Its props.
    pub props: serde_json::Value,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The newest 1,000 rows of its history, in their order.
    pub history: Vec<HistoryEntry>,
    /// Its artefacts, in the order in which they were persisted.
    pub artefacts: Vec<ArtefactEntry>,
    /// The graph that knows its state, as of late.
    pub graph: Option<Graph>,
}

/// Reads one record with its history and artefacts.
///
/// Takes no lock. Payloads and props that the graph declares secret are replaced by
/// [`SECRET`](crate::operator::SECRET); while no graph of the flow is registered nobody knows which
/// those are, and none is shown.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Failed`].
pub fn show(id: i64, conn: &mut impl AsStore) -> Result<Shown> {
    let conn = conn.as_store();
    let registry = Registry::load(conn)?;
    reading(conn, |conn| read(id, &registry, conn))
}

fn read<C: Dialect + Operate>(id: i64, registry: &Registry, conn: &mut C) -> Result<Shown> {
    let fail = |conn: &mut _, error| Error::from(explain(conn, None, error));
    let bind = [Bind::Int(id)];
    let rows = conn.standings::<Stand>(&bind).map_err(|error| fail(conn, error))?;
    let row = rows.into_iter().next().ok_or(Error::NotFound { id })?;
    let mut standing = Standing::read(row)?;
    standing.stuck = standing.why_stuck(registry);
    add_errors(conn, std::slice::from_mut(&mut standing))?;

    let from = (standing.seq - SHOWN).max(-1);
    let history = conn.history::<HistoryAfter>(&[Bind::Int(id), Bind::Int(from)]);
    let history = history.map_err(|error| fail(conn, error))?;
    let of_flow = [Bind::Int(id), Bind::Text(&standing.flow)];
    let artefacts = conn.artefacts::<AllArtefacts>(&of_flow).map_err(|error| fail(conn, error))?;
    let props = conn.counts::<PropsOf>(&bind).map_err(|error| fail(conn, error))?;
    let labels = conn.labels(id).map_err(|error| fail(conn, error))?;

    let graphs: Vec<_> = registry.graphs(&standing.flow).map(|known| &known.graph).collect();
    let artefact = |row: crate::dialect::rows::ArtefactRow| ArtefactEntry {
        payload: if graphs.is_empty() || graphs.iter().any(|graph| graph.hides(&row.name)) {
            SECRET.into()
        } else {
            value(&row.payload)
        },
        name: row.name,
        seq: row.seq,
    };
    Ok(Shown {
        props: visible_props(props.first().map_or("null", |row| &row.label), &graphs),
        labels: labels.into_iter().map(|row| (row.name, row.value)).collect(),
        history: history.into_iter().map(|row| entry(row, id, &graphs)).collect::<Result<_>>()?,
        artefacts: artefacts.into_iter().map(artefact).collect(),
        graph: registry
            .graph_with(&standing.flow, &standing.state)
            .or(graphs.first().copied())
            .cloned(),
        standing,
    })
}

fn visible_props(text: &str, graphs: &[&Graph]) -> serde_json::Value {
    visible(value(text), graphs)
}

/// Props without what is secret. A secret that has another name in their JSON hides them all.
fn visible(mut props: serde_json::Value, graphs: &[&Graph]) -> serde_json::Value {
    if graphs.is_empty() {
        return SECRET.into();
    }
    if let Some(fields) = props.as_object_mut() {
        for secret in graphs.iter().flat_map(|graph| &graph.secrets) {
            match fields.get_mut(secret) {
                Some(field) => *field = SECRET.into(),
                None => return SECRET.into(),
            }
        }
    }
    props
}

/// JSON, or what stands there if it is none.
fn value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn entry(row: HistoryRow, id: i64, graphs: &[&Graph]) -> Result<HistoryEntry> {
    let created_at = time::parse(&row.created_at).ok_or_else(|| Error::Stored {
        what: format!("a time in the history of record #{id}"),
        text: row.created_at.clone(),
    })?;
    let mut metadata = row.metadata.as_deref().map(value);
    // a record that was created under a key keeps there what its props were
    let created_with = metadata.as_mut().and_then(|metadata| metadata.get_mut("created_with"));
    if let Some(props) = created_with.filter(|_| row.seq == 0) {
        *props = visible(props.take(), graphs);
    }
    Ok(HistoryEntry {
        seq: row.seq,
        transition: row.transition,
        from: row.from_state,
        to: row.to_state,
        attempt: row.attempt,
        error: row.error,
        actor: row.actor,
        metadata,
        created_at,
    })
}
