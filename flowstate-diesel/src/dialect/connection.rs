//! The connections that flows can be kept in.

use super::Dialect;
use super::operate::Operate;

/// A connection that flows can be kept in: Diesel's `SqliteConnection`, `PgConnection` or
/// `MysqlConnection`.
///
/// Sealed: it cannot be implemented outside this crate. Code that is generic over the database
/// writes `C: Store`.
pub trait Store: Dialect + Operate + AsStore<Store = Self> {}

impl<C: Dialect + Operate + AsStore<Store = C>> Store for C {}

/// What the functions of this crate take for a connection: a [`Store`], or one from an r2d2 pool.
///
/// Sealed: it cannot be implemented outside this crate.
#[diagnostic::on_unimplemented(
    message = "flows cannot be kept in `{Self}`",
    label = "no connection that flows can be kept in",
    note = "hand over a `&mut` to Diesel's `SqliteConnection`, `PgConnection` or `MysqlConnection`, whose feature must be enabled, or to a `PooledConnection` of one",
    note = "a variable that is such a reference already is handed over without `&mut`"
)]
pub trait AsStore: sealed::Sealed {
    /// Diesel's connection, which closures get.
    type Store: Store;

    /// The connection itself.
    fn as_store(&mut self) -> &mut Self::Store;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Makes a connection one that flows can be kept in. Each dialect does so for its own: of an impl
/// for every `C: Store` the compiler would say that something is no `Store`.
macro_rules! as_store {
    ($connection:ty) => {
        impl $crate::dialect::connection::sealed::Sealed for $connection {}

        impl $crate::dialect::connection::AsStore for $connection {
            type Store = Self;

            fn as_store(&mut self) -> &mut Self {
                self
            }
        }
    };
}

pub(crate) use as_store;

#[cfg(feature = "r2d2")]
impl<M> sealed::Sealed for diesel::r2d2::PooledConnection<M> where
    M: diesel::r2d2::ManageConnection<Connection: Store>
{
}

#[cfg(feature = "r2d2")]
impl<M> AsStore for diesel::r2d2::PooledConnection<M>
where
    M: diesel::r2d2::ManageConnection<Connection: Store>,
{
    type Store = M::Connection;

    fn as_store(&mut self) -> &mut M::Connection {
        self
    }
}
