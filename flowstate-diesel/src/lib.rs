#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "mysql")),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "without a database there is nothing to do"
    )
)]

mod dialect;
mod error;
mod metrics;
pub mod operator;
mod store;
mod text;
mod transaction;
mod transition;
mod unwind;
#[cfg(feature = "r2d2")]
mod worker;

pub use dialect::connection::{AsStore, Store};
pub use diesel;
pub use error::unconfirmed::Unconfirmed;
pub use error::{BoxError, ConflictReason, Error, RecordRef, Result, Unfit, What};
pub use flowstate::{Backoff, Claim, Policy, Step, StepEnd, StepError};
pub use operator::check::check;
pub use store::audit::{Audit, Finding, Problem, audit};
pub use store::flow_store::{FlowStore, Page};
pub use store::history::{ArtefactEntry, HistoryEntry, StateCount};
pub use store::identity::new_identity;
pub use store::labels::backfill_labels;
pub use store::migrate::migrate;
pub use store::once::Once;
pub use store::purge::Purge;
pub use store::query::{Found, Query, QueryCursor};
pub use store::record_store::RecordStore;
#[cfg(feature = "sqlite")]
pub use store::sqlite;
pub use store::testing;
pub use text::json::{MAX_JSON_BYTES, MAX_JSON_DEPTH, MAX_KEY_LENGTH};
pub use transaction::instrument::instrument;
pub use transaction::transaction;
pub use transition::callbacks::{HookResult, Verdict};
pub use transition::request::Request;
pub use transition::trace::trace_context;
#[cfg(feature = "r2d2")]
pub use worker::{
    Running, Worker,
    announcer::Announcer,
    claim::{ClaimStore, claim_next, reap},
    engine::stats::Stats,
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

    #[cfg(feature = "r2d2")]
    pub use crate::ClaimStore as _;
    pub use crate::{FlowStore as _, RecordStore as _};
    pub use flowstate::Step as _;
}
