//! What each database does its own way, and nothing else.
//!
//! [`Dialect`] and the traits below it are sealed: they are public only so that
//! [`Store`](crate::Store) can name them.

#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod begin;
pub(crate) mod by_hand;
pub(crate) mod change;
pub(crate) mod connection;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod fallback;
pub(crate) mod fault;
#[cfg(feature = "mysql")]
mod mysql;
mod notices;
pub(crate) mod operate;
pub(crate) mod poll;
#[cfg(feature = "postgres")]
mod postgres;
mod reads;
pub(crate) mod rows;
mod schema;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod settlement;
pub(crate) mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;
mod transactions;
pub(crate) mod tries;
mod waits;
pub(crate) mod write_queue;
mod writes;

use diesel::QueryResult;

use self::fault::Failure;
pub(crate) use self::notices::Notices;
#[cfg(feature = "r2d2")]
pub(crate) use self::poll::{PollGroup, PollState, PollStates};
pub(crate) use self::reads::Reads;
pub(crate) use self::statements::Statements;
pub(crate) use self::transactions::{Obstacle, Transactions};
pub(crate) use self::waits::Waits;
pub(crate) use self::writes::Writes;
use crate::error::Unfit;

/// One migration: its version and the SQL that makes it.
#[derive(Debug)]
pub struct Migration {
    pub version: &'static str,
    pub up: &'static str,
}

/// A connection to a database whose ways are known here.
pub trait Dialect: Transactions + Writes + Reads + Notices {
    /// In order of their versions.
    const MIGRATIONS: &'static [Migration];
    /// Whether a statement that makes a table commits the transaction in which it stands.
    const CREATING_COMMITS: bool = false;

    /// Why the server is not fit for use, if it is not.
    fn refusal(&mut self) -> QueryResult<Option<Unfit>> {
        Ok(None)
    }

    /// Whether there is a table of versions, where unqualified names are looked for.
    fn has_versions(&mut self) -> QueryResult<bool>;

    /// Keeps other migrations out, in the transaction that is open, and makes sure that the table
    /// of versions can be read: only if it is missing is it made.
    fn lock_migrations(&mut self) -> Result<(), Failure>;

    /// Lets others in again, where the end of the transaction does not.
    fn unlock_migrations(&mut self) -> QueryResult<()> {
        Ok(())
    }
}
