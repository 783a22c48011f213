//! A page of records that have not ended: what their rows hold, and whether their values can be read.

use std::collections::BTreeMap;

use super::super::decoder::{Decoder, Misfit};
use super::super::error::Result;
use super::super::graph::Graph;
use super::super::lane::{Cursor, Part};
use super::super::reading::reading;
use super::super::standing::Standing;
use super::MOST_TOLD;
use super::found::{Checked, Found};
use crate::dialect::connection::Store;
use crate::dialect::rows::{ArtefactRow, CountRow};
use crate::dialect::sql::check::{ArtefactsAmong, PropsAmong, TransitionsAmong};
use crate::dialect::sql::statement::Bind;
use crate::transaction::explain::Explain as _;
use crate::transition::artefacts::Stored;

/// How many records are looked at in one go.
pub(super) const PAGE: usize = 100;

/// Records of one lane that have not ended.
pub(super) struct Page {
    /// Their ids, and as which version the props of each were written.
    pub(super) ids: BTreeMap<i64, i64>,
    /// The ids as a JSON array.
    json: String,
    /// How many rows were read for it.
    pub(super) rows: u64,
    /// Where the next page begins.
    pub(super) next: Option<Cursor>,
    /// The transitions that they have taken, and how many have taken each.
    pub(super) transitions: Vec<CountRow>,
    /// The newest of their artefacts by each name, without payloads, the record in the place of `seq`.
    pub(super) artefacts: Vec<ArtefactRow>,
}

/// The next page of a lane, if there is one.
pub(super) fn read<C: Store>(conn: &mut C, part: Part, cursor: &Cursor) -> Result<Option<Page>> {
    let rows = reading(conn, |conn| part.read(conn, cursor, i64::try_from(PAGE).unwrap_or(1)))?;
    let is_full = rows.len() == PAGE;
    let live = rows.iter().filter(|row| row.completed_at.is_none());
    let ids: BTreeMap<_, _> = live.map(|row| (row.id, row.props_version)).collect();
    let standings = rows.into_iter().map(Standing::read).collect::<Result<Vec<_>>>()?;
    let Some(last) = standings.last() else { return Ok(None) };
    let next = is_full.then(|| Cursor::of(last));
    let rows = u64::try_from(standings.len()).unwrap_or(u64::MAX);
    Ok(Some(Page { rows, next, ..Page::of(ids, conn)? }))
}

/// Those of these records that have not ended, a page of each state in which some are.
pub(super) fn by_state<C: Store>(
    conn: &mut C,
    flow: &str,
    ids: &[i64],
) -> Result<Vec<(String, Page)>> {
    let json = ids.iter().copied().collect::<serde_json::Value>().to_string();
    let rows = reading(conn, |conn| Ok(conn.flows_among(flow, &json).explain(conn)?))?;
    let mut states: BTreeMap<String, BTreeMap<i64, i64>> = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.completed_at.is_none()) {
        states.entry(row.state).or_default().insert(row.id, row.props_version);
    }
    states.into_iter().map(|(state, ids)| Ok((state, Page::of(ids, conn)?))).collect()
}

impl Page {
    fn of<C: Store>(ids: BTreeMap<i64, i64>, conn: &mut C) -> Result<Self> {
        let json = ids.keys().copied().collect::<serde_json::Value>().to_string();
        let (mut transitions, mut artefacts) = (Vec::new(), Vec::new());
        if !ids.is_empty() {
            let bind = [Bind::Text(&json)];
            transitions =
                reading(conn, |conn| Ok(conn.counts::<TransitionsAmong>(&bind).explain(conn)?))?;
            artefacts =
                reading(conn, |conn| Ok(conn.artefacts::<ArtefactsAmong>(&bind).explain(conn)?))?;
        }
        Ok(Self { ids, json, rows: 0, next: None, transitions, artefacts })
    }

    /// How many records it has.
    pub(super) fn live(&self) -> u64 {
        u64::try_from(self.ids.len()).unwrap_or(u64::MAX)
    }
}

/// Reads the values of these records as the types of their flow.
pub(super) fn decode<C: Store>(
    conn: &mut C,
    graph: &Graph,
    decoder: Decoder,
    page: &Page,
    checked: &mut Checked,
) -> Result<()> {
    if page.ids.is_empty() {
        return Ok(());
    }
    let mut tell = |id: i64, artefact: Option<&str>, misfit: Option<Misfit>| {
        let Some(Misfit { path, problem }) = misfit else { return };
        checked.unreadable += 1;
        if checked.unreadable <= MOST_TOLD {
            let (flow, artefact) = (graph.flow.clone(), artefact.map(str::to_owned));
            checked.findings.push(Found::Unreadable { flow, id, artefact, path, problem });
        }
    };
    let ids = [Bind::Text(&page.json)];
    let props = reading(conn, |conn| Ok(conn.artefacts::<PropsAmong>(&ids).explain(conn)?))?;
    // what is newer than the types is told as that
    for row in props.iter().filter(|row| !is_newer(graph.version, row.version)) {
        tell(row.seq, None, decoder.props(row.seq, &row.payload, row.version));
    }
    let payloads = reading(conn, |conn| Ok(conn.payloads(&page.json).explain(conn)?))?;
    // in the order of their `seq`: what was written last under any of its names counts
    let mut newest = BTreeMap::new();
    for row in &payloads {
        newest.insert((row.id, graph.artefact(&row.name).map(|known| &known.name)), row);
    }
    let known = |name: &str| graph.artefact(name).and_then(|known| known.version);
    for row in newest.values().filter(|row| !is_newer(known(&row.name), row.version)) {
        let stored = Stored { json: row.payload.clone(), version: Some(row.version) };
        tell(row.id, Some(&row.name), decoder.artefact(row.id, &row.name, &stored));
    }
    Ok(())
}

/// Whether a value of this version is newer than what is read.
pub(super) fn is_newer(known: Option<u32>, stored: i64) -> bool {
    known.is_some_and(|known| stored > i64::from(known))
}
