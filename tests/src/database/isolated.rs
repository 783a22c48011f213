//! The servers again, with another isolation level as the session's default.

use std::marker::PhantomData;

use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, Pool};

use super::Database;
use crate::watch::Watch;

/// The isolation levels that a session can have.
#[derive(Debug)]
pub struct ReadCommitted;
/// See [`ReadCommitted`].
#[derive(Debug)]
pub struct RepeatableRead;
/// See [`ReadCommitted`].
#[derive(Debug)]
pub struct Serializable;

/// An isolation level, in SQL.
pub trait Level: std::fmt::Debug + Send + Sync + 'static {
    /// In SQL.
    const SQL: &'static str;
}

impl Level for ReadCommitted {
    const SQL: &'static str = "READ COMMITTED";
}

impl Level for RepeatableRead {
    const SQL: &'static str = "REPEATABLE READ";
}

impl Level for Serializable {
    const SQL: &'static str = "SERIALIZABLE";
}

/// A database whose sessions can begin with a setting.
pub trait Isolable: Database + std::fmt::Debug {
    /// Sets the level of all following transactions.
    fn isolate(conn: &mut Self::Conn, level: &str);
}

/// `D` with all its sessions at the level `L`.
#[derive(Debug)]
pub struct Isolated<D, L> {
    database: D,
    level: PhantomData<L>,
}

impl<D: Isolable, L: Level> Database for Isolated<D, L> {
    type Conn = D::Conn;

    const FOLDER: &'static str = D::FOLDER;
    const IS_ISOLATED: bool = true;

    fn empty() -> Self {
        Self { database: D::empty(), level: PhantomData }
    }

    fn url(&self) -> String {
        self.database.url()
    }

    fn connect_to(url: &str) -> D::Conn {
        let mut conn = D::connect_to(url);
        D::isolate(&mut conn, L::SQL);
        conn
    }

    fn impatient(&self) -> D::Conn {
        let mut conn = self.database.impatient();
        D::isolate(&mut conn, L::SQL);
        conn
    }

    fn pool(&self, size: u32) -> Pool<ConnectionManager<D::Conn>> {
        Pool::builder()
            .max_size(size)
            .connection_customizer(Box::new(Customizer::<D, L>(PhantomData)))
            .build(ConnectionManager::new(self.url()))
            .expect("a pool")
    }

    fn watched_pool(url: &str, size: u32, watch: Watch) -> Pool<ConnectionManager<D::Conn>> {
        Pool::builder()
            .max_size(size)
            .connection_customizer(Box::new(Watched::<D, L>(Customizer(PhantomData), watch)))
            .build(ConnectionManager::new(url))
            .expect("a pool")
    }

    fn open_transactions(conn: &mut D::Conn) -> i64 {
        D::open_transactions(conn)
    }

    fn number(conn: &mut D::Conn, sql: &str) -> i64 {
        D::number(conn, sql)
    }

    fn text(conn: &mut D::Conn, sql: &str) -> Option<String> {
        D::text(conn, sql)
    }
}

#[derive(Debug)]
struct Customizer<D, L>(PhantomData<fn() -> (D, L)>);

impl<D: Isolable, L: Level> CustomizeConnection<D::Conn, Error> for Customizer<D, L> {
    fn on_acquire(&self, conn: &mut D::Conn) -> Result<(), Error> {
        D::isolate(conn, L::SQL);
        Ok(())
    }
}

/// The level, and a watch.
#[derive(Debug)]
struct Watched<D, L>(Customizer<D, L>, Watch);

impl<D: Isolable, L: Level> CustomizeConnection<D::Conn, Error> for Watched<D, L> {
    fn on_acquire(&self, conn: &mut D::Conn) -> Result<(), Error> {
        self.0.on_acquire(conn)?;
        self.1.over(conn);
        Ok(())
    }
}
