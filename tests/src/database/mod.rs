//! The databases that the tests run on.

#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod isolated;
mod isolation;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod server;
pub mod sqlite;

pub use isolation::Isolation;
#[cfg(feature = "mysql")]
pub use mysql::Mysql;
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
pub use sqlite::{RollbackJournal, Sqlite};

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool, R2D2Connection};
use flowstate_diesel::Store;

use crate::check::Counted;
use crate::gate::Gate;
use crate::statement_probe::Probe;

/// A database of its own for one test, removed when it is dropped.
pub trait Database: Sized + Send + Sync + 'static {
    /// A connection to it.
    type Conn: Store + Counted + SimpleConnection + R2D2Connection + Send + 'static;

    /// Its folder in `migrations/`.
    const FOLDER: &'static str;

    /// Its sessions have another isolation level than the usual one.
    const IS_ISOLATED: bool = false;

    /// The isolation level of its sessions.
    const ISOLATION: Isolation;

    /// Makes an empty one, without the tables of flowstate.
    #[must_use]
    fn empty() -> Self;

    /// Makes one with the tables of flowstate.
    #[must_use]
    fn migrated() -> Self {
        let database = Self::empty();
        flowstate_diesel::migrate(&mut database.connect()).expect("migrated");
        database
    }

    /// What a child process needs to find it.
    fn url(&self) -> String;

    /// Opens the database that another process made.
    fn connect_to(url: &str) -> Self::Conn;

    /// A connection set up as the documentation says.
    fn connect(&self) -> Self::Conn {
        Self::connect_to(&self.url())
    }

    /// A connection that gives up soon where another one holds a lock.
    fn impatient(&self) -> Self::Conn;

    /// A pool of connections.
    fn pool(&self, size: u32) -> Pool<ConnectionManager<Self::Conn>>;

    /// A pool whose statements a probe sees.
    fn probed_pool(url: &str, size: u32, probe: Probe) -> Pool<ConnectionManager<Self::Conn>>;

    /// How many transactions other connections have open on this database. On `SQLite` 1 stands for
    /// any number.
    fn open_transactions(conn: &mut Self::Conn) -> i64;

    /// How many threads of this process queue to write, where the library has them queue: they
    /// have sent no statement yet.
    #[must_use]
    fn waiting_writers(_: &mut Self::Conn) -> usize {
        0
    }

    /// Whether another connection to this database waits for a lock.
    #[must_use]
    fn somebody_waits(conn: &mut Self::Conn) -> bool {
        Self::waiting_writers(conn) > 0
    }

    /// Waits until another connection waits for a lock.
    fn wait_for_a_waiter(conn: &mut Self::Conn) {
        Gate::new().wait_for_one(|| Self::somebody_waits(conn));
    }

    /// The number that a query gives.
    fn number(conn: &mut Self::Conn, sql: &str) -> i64;

    /// The text that a query gives, if any.
    fn text(conn: &mut Self::Conn, sql: &str) -> Option<String>;
}
