//! The servers again, with another isolation level as the session's default.

use std::marker::PhantomData;

use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, Pool};

use super::server::Served;
use super::{Database, Isolation};
use crate::own_server::ServerKind;
use crate::statement_probe::Probe;

/// An isolation level as a type.
pub trait Level: std::fmt::Debug + Send + Sync + 'static {
    /// The level as a value.
    const ISOLATION: Isolation;
}

macro_rules! levels {
    ($($level:ident)*) => {
        $(
            #[doc = concat!("[`Isolation::", stringify!($level), "`]")]
            #[derive(Debug)]
            pub struct $level;

            impl Level for $level {
                const ISOLATION: Isolation = Isolation::$level;
            }
        )*
    };
}

levels! { ReadUncommitted ReadCommitted RepeatableRead StrictSnapshot Serializable }

/// A database whose sessions can begin with a setting.
pub trait Isolable: Database + std::fmt::Debug {
    /// Sets the level of all following transactions.
    fn isolate(conn: &mut Self::Conn, level: Isolation);
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
    const ISOLATION: Isolation = L::ISOLATION;

    fn empty() -> Self {
        Self { database: D::empty(), level: PhantomData }
    }

    fn url(&self) -> String {
        self.database.url()
    }

    fn connect_to(url: &str) -> D::Conn {
        let mut conn = D::connect_to(url);
        D::isolate(&mut conn, L::ISOLATION);
        conn
    }

    fn impatient(&self) -> D::Conn {
        let mut conn = self.database.impatient();
        D::isolate(&mut conn, L::ISOLATION);
        conn
    }

    fn pool(&self, size: u32) -> Pool<ConnectionManager<D::Conn>> {
        Pool::builder()
            .max_size(size)
            .connection_customizer(Box::new(Customizer::<D, L>(PhantomData)))
            .build(ConnectionManager::new(self.url()))
            .expect("a pool")
    }

    fn probed_pool(url: &str, size: u32, probe: Probe) -> Pool<ConnectionManager<D::Conn>> {
        Pool::builder()
            .max_size(size)
            .connection_customizer(Box::new(Probed::<D, L>(Customizer(PhantomData), probe)))
            .build(ConnectionManager::new(url))
            .expect("a pool")
    }

    fn open_transactions(conn: &mut D::Conn) -> i64 {
        D::open_transactions(conn)
    }

    fn somebody_waits(conn: &mut D::Conn) -> bool {
        D::somebody_waits(conn)
    }

    fn number(conn: &mut D::Conn, sql: &str) -> i64 {
        D::number(conn, sql)
    }

    fn text(conn: &mut D::Conn, sql: &str) -> Option<String> {
        D::text(conn, sql)
    }
}

impl<D: Isolable + Served, L: Level> Served for Isolated<D, L> {
    const KIND: ServerKind = D::KIND;
    const LAST_WORDS: &'static str = D::LAST_WORDS;
    const LAST_WORDS_OF_MANY: &'static str = D::LAST_WORDS_OF_MANY;

    fn address() -> String {
        D::address()
    }

    fn url_through(&self, port: u16) -> String {
        self.database.url_through(port)
    }
}

#[derive(Debug)]
struct Customizer<D, L>(PhantomData<fn() -> (D, L)>);

impl<D: Isolable, L: Level> CustomizeConnection<D::Conn, Error> for Customizer<D, L> {
    fn on_acquire(&self, conn: &mut D::Conn) -> Result<(), Error> {
        D::isolate(conn, L::ISOLATION);
        Ok(())
    }
}

/// The level, and a probe.
#[derive(Debug)]
struct Probed<D, L>(Customizer<D, L>, Probe);

impl<D: Isolable, L: Level> CustomizeConnection<D::Conn, Error> for Probed<D, L> {
    fn on_acquire(&self, conn: &mut D::Conn) -> Result<(), Error> {
        self.0.on_acquire(conn)?;
        self.1.over(conn);
        Ok(())
    }
}
