//! What users call on a flow, a record or a database, transitions excepted.

pub(crate) mod audit;
mod create;
pub(crate) mod flow_store;
pub(crate) mod history;
pub(crate) mod identity;
mod keyed;
pub(crate) mod labels;
pub(crate) mod migrate;
pub(crate) mod once;
mod outcome;
pub(crate) mod purge;
pub(crate) mod query;
pub(crate) mod record_store;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod testing;
