//! What the tests of flowstate share: the databases, the flows, and the requirements that every
//! database must meet.

#![expect(clippy::missing_panics_doc, reason = "a requirement panics if it is not met")]

pub mod chaos;
pub mod check;
pub mod child;
pub mod database;
pub mod disk;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod distance;
pub mod flows;
pub mod gate;
pub mod joins;
pub mod metrics_capture;
pub mod own_server;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod proxy;
pub mod race;
pub mod require;
pub mod set_up_connection;
pub mod statement_probe;
pub mod steps;
pub mod switchable_connection;
pub mod tracing_capture;

#[cfg(feature = "mysql")]
pub use database::Mysql;
#[cfg(feature = "postgres")]
pub use database::Postgres;
pub use database::{Database, Isolation, RollbackJournal, Sqlite};
