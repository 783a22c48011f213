//! What users call on a flow, a record or a database, transitions excepted.

pub(crate) mod audit;
mod create;
pub(crate) mod flow_store;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod migrate;
pub(crate) mod once;
pub(crate) mod purge;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod testing;
