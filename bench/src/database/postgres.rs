//! PostgreSQL: a schema of its own.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};

use super::{Database, fresh_name, prepare, uses_ledger};
use crate::floor::{self, Floor};

pub(crate) struct Postgres {
    server: String,
    schema: String,
    synchronous_commit: bool,
}

impl Postgres {
    pub(crate) fn new(server: &str, synchronous_commit: bool) -> Self {
        let (server, schema) = (server.to_owned(), fresh_name());
        administer(&server, &format!("CREATE SCHEMA {schema}"));
        let database = Self { server, schema, synchronous_commit };
        prepare(&database);
        database
    }

    fn level(&self) -> &'static str {
        if self.synchronous_commit { "on" } else { "off" }
    }
}

fn administer(server: &str, sql: &str) {
    let mut conn = PgConnection::establish(server).expect("the server");
    conn.batch_execute(sql).expect(sql);
}

impl Database for Postgres {
    type Conn = PgConnection;

    fn name(&self) -> String {
        format!("PostgreSQL, synchronous_commit {}", self.level())
    }

    fn url(&self) -> String {
        let Self { server, schema, .. } = self;
        let level = self.level();
        let separator = if server.contains('?') { '&' } else { '?' };
        // neither side encrypts: the floor's driver cannot
        format!(
            "{server}{separator}sslmode=disable&options=-csearch_path%3D{schema}%20-csynchronous_commit%3D{level}"
        )
    }

    fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url()).expect("a connection")
    }

    fn floor(&self) -> Box<dyn Floor> {
        Box::new(floor::postgres::Postgres::open(&self.url()))
    }

    fn pool(&self, size: usize) -> Pool<ConnectionManager<PgConnection>> {
        Pool::builder()
            .max_size(u32::try_from(size).expect("a small pool"))
            .test_on_check_out(false)
            .build(ConnectionManager::new(self.url()))
            .expect("a pool")
    }

    uses_ledger!();

    fn settle(&self) {
        self.run("VACUUM ANALYZE flowstate_flows");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        administer(&self.server, &format!("DROP SCHEMA {} CASCADE", self.schema));
    }
}
