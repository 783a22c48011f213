//! Connections whose sessions are set up by a test, as a pool of users may do it.

use std::fmt;

use diesel::r2d2::{Error, ManageConnection, Pool, R2D2Connection as _};

use crate::Database;

/// Makes connections, and has each set up before it is used.
pub struct SetUpConnections<D: Database> {
    url: String,
    set_up: SetUp<D>,
}

type SetUp<D> = Box<dyn Fn(&mut <D as Database>::Conn) + Send + Sync>;

impl<D: Database> SetUpConnections<D> {
    /// Makes connections to a database.
    pub fn new(url: &str, set_up: impl Fn(&mut D::Conn) + Send + Sync + 'static) -> Self {
        Self { url: url.to_owned(), set_up: Box::new(set_up) }
    }

    /// A pool that never looks whether a connection is any good before it hands it out.
    pub fn pool(
        url: &str,
        size: u32,
        set_up: impl Fn(&mut D::Conn) + Send + Sync + 'static,
    ) -> Pool<Self> {
        let builder = Pool::builder().max_size(size).test_on_check_out(false);
        builder.build(Self::new(url, set_up)).expect("a pool")
    }
}

impl<D: Database> ManageConnection for SetUpConnections<D> {
    type Connection = D::Conn;
    type Error = Error;

    fn connect(&self) -> Result<D::Conn, Error> {
        let mut conn = D::connect_to(&self.url);
        (self.set_up)(&mut conn);
        Ok(conn)
    }

    fn is_valid(&self, conn: &mut D::Conn) -> Result<(), Error> {
        conn.ping().map_err(Error::QueryError)
    }

    fn has_broken(&self, conn: &mut D::Conn) -> bool {
        conn.is_broken()
    }
}

impl<D: Database> fmt::Debug for SetUpConnections<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetUpConnections")
    }
}
