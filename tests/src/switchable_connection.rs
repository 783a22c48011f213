//! Connections that a test switches off and on: a database that is down for as long as it likes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::ConnectionError;
use diesel::r2d2::event::TimeoutEvent;
use diesel::r2d2::{Error, HandleEvent, ManageConnection, Pool, R2D2Connection as _};

use crate::Database;
use crate::gate::Gate;
use crate::statement_probe::Probe;

/// Makes the connections of a pool fail, and new ones impossible.
#[derive(Clone, Debug, Default)]
pub struct Switch {
    down: Arc<AtomicBool>,
    timeouts: Arc<Gate>,
}

/// Makes connections, as long as the switch is on.
#[derive(Debug)]
pub struct SwitchableConnections<D> {
    url: String,
    probe: Probe,
    switch: Switch,
    database: std::marker::PhantomData<fn() -> D>,
}

impl Switch {
    /// A pool whose database can be switched off, and its switch.
    #[must_use]
    pub fn pool<D: Database>(
        url: &str,
        size: u32,
        probe: Probe,
    ) -> (Self, Pool<SwitchableConnections<D>>) {
        let switch = Self::default();
        let database = std::marker::PhantomData;
        let manager =
            SwitchableConnections { url: url.to_owned(), probe, switch: switch.clone(), database };
        let builder = Pool::builder().max_size(size).event_handler(Box::new(switch.clone()));
        (switch, builder.build(manager).expect("a pool"))
    }

    /// The database is down from now on.
    pub fn off(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    /// It is up again.
    pub fn on(&self) {
        self.down.store(false, Ordering::SeqCst);
    }

    /// Waits until somebody asks the pool for a connection in vain.
    pub fn wait_for_a_timeout(&self) {
        self.timeouts.wait_for(self.timeouts.come() + 1);
    }

    fn is_off(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }
}

impl HandleEvent for Switch {
    fn handle_timeout(&self, _: TimeoutEvent) {
        self.timeouts.note();
    }
}

impl<D: Database> ManageConnection for SwitchableConnections<D> {
    type Connection = D::Conn;
    type Error = Error;

    fn connect(&self) -> Result<D::Conn, Error> {
        if self.switch.is_off() {
            return Err(down());
        }
        let mut conn = D::connect_to(&self.url);
        self.probe.over(&mut conn);
        Ok(conn)
    }

    fn is_valid(&self, conn: &mut D::Conn) -> Result<(), Error> {
        if self.switch.is_off() { Err(down()) } else { conn.ping().map_err(Error::QueryError) }
    }

    fn has_broken(&self, conn: &mut D::Conn) -> bool {
        self.switch.is_off() || conn.is_broken()
    }
}

fn down() -> Error {
    Error::ConnectionError(ConnectionError::BadConnection("it is down".to_owned()))
}
