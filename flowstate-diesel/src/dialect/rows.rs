//! Rows as every database gives them: numbers and text.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};

/// A row of `flowstate_flows`.
#[derive(Debug, Queryable)]
pub struct FlowRow {
    pub id: i64,
    pub state: String,
    pub seq: i64,
    pub props: String,
    /// As which version of the type the props were written.
    pub props_version: i64,
    pub key: Option<String>,
    pub attempts: i32,
    pub due_at: Option<String>,
    pub completed_at: Option<String>,
    pub last_errored_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

/// The SQL types of [`FlowRow`].
pub(crate) type FlowColumns = (
    BigInt,
    Text,
    BigInt,
    Text,
    BigInt,
    Nullable<Text>,
    Integer,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Text,
    Text,
);

/// The columns of a [`FlowRow`], to be put into a statement.
macro_rules! flow_columns {
    () => {
        "id, state, seq, @text(props), props_version, COALESCE(@key, single_key), attempts, \
         @time(due_at), @time(completed_at), @time(last_errored_at), @time(created_at), @time(updated_at)"
    };
}
pub(crate) use flow_columns;

/// A row as its claim left it.
#[derive(Debug, Queryable)]
pub struct ClaimedRow {
    pub row: FlowRow,
    /// When the step last finished before, by `seq`, if that was asked.
    pub last_finish: Option<i64>,
}

/// The SQL types of [`ClaimedRow`].
#[cfg(feature = "postgres")]
pub(crate) type ClaimedColumns = (FlowColumns, Nullable<BigInt>);

/// A row of `flowstate_transitions`.
#[derive(Debug, Queryable)]
pub struct HistoryRow {
    pub seq: i64,
    pub transition: String,
    pub from_state: Option<String>,
    pub to_state: String,
    pub attempt: i32,
    pub error: Option<String>,
    pub actor: Option<String>,
    pub metadata: Option<String>,
    pub traceparent: Option<String>,
    pub created_at: String,
}

/// The SQL types of [`HistoryRow`].
pub(crate) type HistoryColumns = (
    BigInt,
    Text,
    Nullable<Text>,
    Text,
    Integer,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Text,
);

/// A row of `flowstate_artefacts`.
#[derive(Debug, Queryable)]
pub struct ArtefactRow {
    pub name: String,
    pub seq: i64,
    pub payload: String,
    /// As which version of its type it was written.
    pub version: i64,
}

/// The SQL types of [`ArtefactRow`].
pub(crate) type ArtefactColumns = (Text, BigInt, Text, BigInt);

/// A label with a number: what checks and counts give.
#[derive(Debug, Queryable)]
pub struct CountRow {
    pub label: String,
    pub number: i64,
}

/// The SQL types of [`CountRow`].
pub(crate) type CountColumns = (Text, BigInt);

/// What the database's clock said when a row was written.
#[derive(Debug, Queryable)]
pub struct StampRow {
    pub updated_at: String,
    pub due_at: Option<String>,
}

/// When a row was written.
#[derive(Debug)]
pub enum Stamp {
    Read(StampRow),
    /// Only this was said: what is due later is so by the time that was asked for.
    Dated(String),
    /// The database could not say without being asked again: about this time, by our clock.
    Estimated(DateTime<Utc>),
}

/// The SQL types of [`StampRow`].
#[cfg(feature = "sqlite")]
pub(crate) type StampColumns = (Text, Nullable<Text>);

/// A row that was just inserted.
#[derive(Debug, Queryable)]
pub struct InsertedRow {
    pub id: i64,
    pub created_at: String,
    pub due_at: Option<String>,
}

/// The SQL types of [`InsertedRow`].
pub(crate) type InsertedColumns = (BigInt, Text, Nullable<Text>);
