#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(all(feature = "sqlite", feature = "r2d2")),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "some is for one database, or workers"
    )
)]

mod apply;
mod at_once;
mod audit;
mod change;
mod checkpoint;
mod closures;
mod create;
mod dialect;
mod entry;
mod error;
mod failure;
mod hooks;
mod ignored;
mod json;
mod migrate;
mod purge;
mod query;
mod read;
mod request;
mod retry;
mod row;
mod scope;
mod span;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod store;
mod subject;
pub mod testing;
mod time;
mod transaction;
mod turnstile;
mod unconfirmed;
mod wake;
mod witness;
#[cfg(feature = "r2d2")]
mod worker;

pub use audit::{Audit, Finding, Problem, audit};
pub use closures::{HookResult, Verdict};
pub use diesel;
pub use entry::{ArtefactEntry, HistoryEntry, StateCount};
pub use error::{BoxError, ConflictReason, Error, RecordRef, Result, What};
pub use json::{MAX_JSON_BYTES, MAX_JSON_DEPTH, MAX_KEY_LENGTH};
pub use migrate::migrate;
pub use purge::Purge;
pub use query::{FlowStore, Once, Page, RecordStore};
pub use request::Request;
pub use store::{AsStore, Store};
pub use transaction::transaction;
pub use unconfirmed::Unconfirmed;
pub use witness::instrument;
#[cfg(feature = "r2d2")]
pub use worker::{
    Running, Worker,
    backoff::Backoff,
    claim::{Claim, claim_next, reap},
    stats::Stats,
    step::{FailTransition, FinishTransition, Step},
    step_error::StepError,
};

/// What code that uses flows wants in scope: the traits, and Diesel's connections.
pub mod prelude {
    #[cfg(feature = "mysql")]
    pub use diesel::MysqlConnection;
    #[cfg(feature = "postgres")]
    pub use diesel::PgConnection;
    #[cfg(feature = "sqlite")]
    pub use diesel::SqliteConnection;
    pub use diesel::connection::Connection as _;

    pub use crate::{FlowStore as _, RecordStore as _};
}
