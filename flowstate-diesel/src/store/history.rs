//! What is read of a record and is no record: counts, rows of its history, untyped artefacts.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::dialect::rows::{ArtefactRow, HistoryRow};
use crate::error::{RecordRef, Result, What};
use crate::text::json;
use crate::transition::decode;

/// How many records are in a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StateCount {
    /// The stored name.
    pub state: String,
    /// How many records, up to the limit of the count.
    pub records: i64,
    /// Whether this code knows the state, by its name or an alias.
    pub is_known: bool,
}

/// A row of the history. Its names are text: they outlive the code that wrote them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Its place in the history: 0 is the creation, without gaps.
    pub seq: i64,
    /// The transition's stored name; `flow.create` for the creation, `claim.release` where a
    /// [claim](crate::ClaimStore::release) was given back, `flow.complete` where a version of the
    /// program ended what another one, to which the state was no end, had brought there.
    pub transition: String,
    /// The state it left; `None` for the creation.
    pub from: Option<String>,
    /// The state it led to.
    pub to: String,
    /// Which try of the step it belongs to, from 1.
    pub attempt: i32,
    /// Why it failed, if that was said.
    pub error: Option<String>,
    /// Who asked for it, if that was said.
    pub actor: Option<String>,
    /// The metadata that was given with the transition.
    pub metadata: Option<serde_json::Value>,
    /// The trace context of who asked for it, if the program [keeps it](crate::trace_context).
    pub traceparent: Option<String>,
    /// When, by the database's clock. Order is by `seq`.
    pub created_at: DateTime<Utc>,
}

impl HistoryEntry {
    pub(crate) fn read(row: HistoryRow, record: RecordRef) -> Result<Self> {
        let metadata = row.metadata.as_deref();
        let metadata =
            metadata.map(|text| json::decode(text, record, || What::Metadata)).transpose()?;
        let created_at = decode::required_time(&row.created_at, record)?;
        Ok(Self::of(row, metadata, created_at))
    }

    /// The entry of a row, whose metadata and time have been read from their texts.
    pub(crate) fn of(
        row: HistoryRow,
        metadata: Option<serde_json::Value>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            seq: row.seq,
            transition: row.transition,
            from: row.from_state,
            to: row.to_state,
            attempt: row.attempt,
            error: row.error,
            actor: row.actor,
            metadata,
            traceparent: row.traceparent,
            created_at,
        }
    }
}

/// A stored artefact, untyped.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ArtefactEntry {
    /// The stored name.
    pub name: String,
    /// Which transition persisted it.
    pub seq: i64,
    /// The payload, as it is stored.
    pub payload: serde_json::Value,
    /// As which version of the artefact it was written.
    pub version: i64,
}

impl ArtefactEntry {
    pub(crate) fn read(row: ArtefactRow, record: RecordRef) -> Result<Self> {
        let payload = json::decode(&row.payload, record, || What::Artefact(row.name.clone()))?;
        Ok(Self { name: row.name, seq: row.seq, payload, version: row.version })
    }
}
