//! All that the tables tell of one record.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::{Error, Result};
use super::graph::Graph;
use super::reading::reading;
use super::registry::Registry;
use super::standing::{Standing, add_errors};
use crate::dialect::connection::AsStore;
use crate::dialect::operate::Operate;
use crate::dialect::rows::{ArtefactRow, HistoryRow};
use crate::dialect::sql::operator::{ArtefactNamesOf, ArtefactOf, HistoryAfter, PropsOf, Stand};
use crate::dialect::sql::shared::AllArtefacts;
use crate::dialect::sql::statement::Bind;
use crate::dialect::{Dialect, Statements as _};
use crate::store::history::{ArtefactEntry, HistoryEntry};
use crate::text::time;
use crate::transaction::explain::Explain as _;

/// How many rows of a history are shown: the newest.
const SHOWN: i64 = 1_000;

/// How often a record is read that moves again and again, until it is shown as it was found last.
const MOST_TRIES: u32 = 20;

/// Stands in the place of a value that is declared secret.
pub const SECRET: &str = "(secret)";

/// All that the tables tell of one record. What is declared secret is left out.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Shown {
    /// Where it stands.
    pub standing: Standing,
    /// Its props.
    pub props: serde_json::Value,
    /// As which version of the flow they were written.
    pub props_version: i64,
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
    shown(id, Payloads::Read, conn.as_store())
}

/// Reads one record as [`show`] does, but none of the payloads of its artefacts: each is `null` there,
/// and [`show_artefact`] reads it.
///
/// # Errors
/// As [`show`].
pub fn show_without_payloads(id: i64, conn: &mut impl AsStore) -> Result<Shown> {
    shown(id, Payloads::Left, conn.as_store())
}

/// Reads one artefact of a record, by its name and the transition that persisted it. `None` if there is
/// none; [`SECRET`](crate::operator::SECRET) as with [`show`].
///
/// # Errors
/// As [`show`].
pub fn show_artefact(
    id: i64,
    name: &str,
    seq: i64,
    conn: &mut impl AsStore,
) -> Result<Option<ArtefactEntry>> {
    let conn = conn.as_store();
    let registry = Registry::load(conn)?;
    reading(conn, |conn| {
        let flow = stand(id, conn)?.flow;
        let graphs: Vec<_> = registry.graphs(&flow).map(|known| &known.graph).collect();
        let binds = [Bind::Int(id), Bind::Text(&flow), Bind::Text(name), Bind::Int(seq)];
        let rows = conn.artefacts::<ArtefactOf>(&binds).explain(conn)?;
        Ok(rows.into_iter().next().map(|row| artefact(row, &graphs)))
    })
}

/// Whether payloads are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Payloads {
    Read,
    Left,
}

fn shown<C: Dialect + Operate>(id: i64, payloads: Payloads, conn: &mut C) -> Result<Shown> {
    let registry = Registry::load(conn)?;
    let mut tries = 0;
    loop {
        let shown = reading(conn, |conn| read(id, &registry, payloads, conn))?;
        // one that moves meanwhile is read again
        let is_there = reading(conn, |conn| stand(id, conn))?.seq == shown.standing.seq;
        tries += 1;
        if is_there || tries == MOST_TRIES {
            return Ok(shown);
        }
    }
}

fn stand<C: Dialect + Operate>(id: i64, conn: &mut C) -> Result<Standing> {
    let rows = conn.standings::<Stand>(&[Bind::Int(id)]).explain(conn)?;
    Standing::read(rows.into_iter().next().ok_or(Error::NotFound { id })?)
}

fn read<C: Dialect + Operate>(
    id: i64,
    registry: &Registry,
    payloads: Payloads,
    conn: &mut C,
) -> Result<Shown> {
    let bind = [Bind::Int(id)];
    let mut standing = stand(id, conn)?;
    add_errors(conn, std::slice::from_mut(&mut standing))?;
    standing.stuck = standing.why_stuck(registry);

    let from = (standing.seq - SHOWN).max(-1);
    let mut history =
        conn.history::<HistoryAfter>(&[Bind::Int(id), Bind::Int(from)]).explain(conn)?;
    history.retain(|row| row.seq <= standing.seq);
    let of_flow = [Bind::Int(id), Bind::Text(&standing.flow)];
    let artefacts = match payloads {
        Payloads::Read => conn.artefacts::<AllArtefacts>(&of_flow),
        Payloads::Left => conn.artefacts::<ArtefactNamesOf>(&of_flow),
    };
    let mut artefacts = artefacts.explain(conn)?;
    artefacts.retain(|row| row.seq <= standing.seq);
    let props = conn.counts::<PropsOf>(&bind).explain(conn)?;
    let labels = conn.labels(id).explain(conn)?;

    let graphs: Vec<_> = registry.graphs(&standing.flow).map(|known| &known.graph).collect();
    let mut entries: Vec<_> = artefacts.into_iter().map(|row| artefact(row, &graphs)).collect();
    if payloads == Payloads::Left {
        for entry in &mut entries {
            entry.payload = serde_json::Value::Null;
        }
    }
    Ok(Shown {
        props: visible_props(props.first().map_or("null", |row| &row.label), &graphs),
        props_version: props.first().map_or(1, |row| row.number),
        labels: labels.into_iter().map(|row| (row.name, row.value)).collect(),
        history: history.into_iter().map(|row| entry(row, id, &graphs)).collect::<Result<_>>()?,
        artefacts: entries,
        graph: registry
            .graph_with(&standing.flow, &standing.state)
            .or(graphs.first().copied())
            .cloned(),
        standing,
    })
}

/// An artefact whose payload is left out if it is secret, or nobody knows whether it is.
fn artefact(row: ArtefactRow, graphs: &[&Graph]) -> ArtefactEntry {
    let is_secret = graphs.is_empty() || graphs.iter().any(|graph| graph.hides(&row.name));
    let payload = if is_secret { SECRET.into() } else { value(&row.payload) };
    ArtefactEntry { payload, name: row.name, seq: row.seq, version: row.version }
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
    Ok(HistoryEntry::of(row, metadata, created_at))
}
