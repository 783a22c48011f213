//! Databases of their own for tests, on the servers that `FLOWSTATE_POSTGRES_URL` and
//! `FLOWSTATE_MYSQL_URL` name.

use std::sync::atomic::{AtomicUsize, Ordering};

use flowstate_diesel::diesel::Connection;

/// A database that is gone with the test.
pub(crate) struct Server<C: Connection> {
    admin: C,
    name: String,
    pub(crate) url: String,
}

impl<C: Connection> Server<C> {
    pub(crate) fn new(variable: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let server_url = std::env::var(variable).expect(variable);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("flowstate_ops_{}_{number}", std::process::id());
        let mut admin = C::establish(&server_url).expect("a server");
        admin.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database");
        let (address, _) = server_url.rsplit_once('/').expect("the URL of a database");
        let url = format!("{address}/{name}");
        Self { admin, name, url }
    }

    pub(crate) fn connect(&self) -> C {
        C::establish(&self.url).expect("a connection")
    }
}

impl<C: Connection> Drop for Server<C> {
    fn drop(&mut self) {
        // a test that has failed says why by itself
        let _ = self.admin.batch_execute(&format!("DROP DATABASE {}", self.name));
    }
}
