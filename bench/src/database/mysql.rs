//! MySQL or MariaDB: a database of its own.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};

use super::{Database, fresh_name, prepare, uses_ledger};
use crate::floor::{self, Floor};

pub(crate) struct Mysql {
    server: String,
    name: String,
    level: &'static str,
}

impl Mysql {
    /// `level` says how durable the server is.
    pub(crate) fn new(server: &str, level: &'static str) -> Self {
        let (server, name) = (server.to_owned(), fresh_name());
        administer(&server, &format!("CREATE DATABASE {name}"));
        let database = Self { server, name, level };
        prepare(&database);
        database
    }
}

fn administer(server: &str, sql: &str) {
    let mut conn = MysqlConnection::establish(server).expect("the server");
    conn.batch_execute(sql).expect(sql);
}

impl Database for Mysql {
    type Conn = MysqlConnection;

    fn name(&self) -> String {
        format!("MariaDB, {}", self.level)
    }

    fn url(&self) -> String {
        let end = self.server.rfind('/').filter(|at| *at > "mysql://".len());
        format!("{}/{}", &self.server[..end.unwrap_or(self.server.len())], self.name)
    }

    fn connect(&self) -> MysqlConnection {
        MysqlConnection::establish(&self.url()).expect("a connection")
    }

    fn floor(&self) -> Box<dyn Floor> {
        Box::new(floor::mysql::Mysql::open(&self.url()))
    }

    fn pool(&self, size: usize) -> Pool<ConnectionManager<MysqlConnection>> {
        Pool::builder()
            .max_size(u32::try_from(size).expect("a small pool"))
            .test_on_check_out(false)
            .build(ConnectionManager::new(self.url()))
            .expect("a pool")
    }

    uses_ledger!();

    fn settle(&self) {
        self.run("ANALYZE TABLE flowstate_flows");
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        administer(&self.server, &format!("DROP DATABASE {}", self.name));
    }
}
