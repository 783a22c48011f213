//! What the tests of flowstate share: the databases, the flows, and the requirements that every
//! database must meet.

#![expect(clippy::missing_panics_doc, reason = "a requirement panics if it is not met")]

pub mod chaos;
pub mod check;
pub mod child;
pub mod database;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod distance;
pub mod flaky;
pub mod flows;
pub mod gate;
pub mod private;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod proxy;
pub mod race;
pub mod require;
pub mod statements;
pub mod steps;
pub mod told;
pub mod watch;

#[cfg(feature = "mysql")]
pub use database::Mysql;
#[cfg(feature = "postgres")]
pub use database::Postgres;
pub use database::{Database, Isolation, RollbackJournal, Sqlite};
