use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{Connection, MysqlConnection, RunQueryDsl, dsl};

use super::isolated::Isolable;
use super::server::{Served, address, fresh_name, server, with_database, with_port};
use super::{Database, Isolation};
use crate::own_server::ServerKind;
use crate::statement_probe::Probe;

/// MySQL or MariaDB, a database of its own on the server of `FLOWSTATE_MYSQL_URL`.
#[derive(Debug)]
pub struct Mysql {
    database: String,
}

impl Mysql {
    /// The server.
    #[must_use]
    pub fn server() -> String {
        server("FLOWSTATE_MYSQL_URL")
    }

    fn administer(sql: &str) {
        let mut conn = MysqlConnection::establish(&Self::server()).expect("the server");
        conn.batch_execute(sql).expect(sql);
    }
}

impl Database for Mysql {
    type Conn = MysqlConnection;

    const FOLDER: &'static str = "mysql";
    // the server's default, which a test asserts
    const ISOLATION: Isolation = Isolation::RepeatableRead;

    fn empty() -> Self {
        let database = fresh_name();
        Self::administer(&format!("CREATE DATABASE {database}"));
        Self { database }
    }

    fn url(&self) -> String {
        with_database(&Self::server(), &self.database)
    }

    fn connect_to(url: &str) -> MysqlConnection {
        MysqlConnection::establish(url).expect("a connection")
    }

    fn impatient(&self) -> MysqlConnection {
        let mut conn = self.connect();
        // the shortest that there is
        conn.batch_execute("SET innodb_lock_wait_timeout = 1").expect("a time-out");
        conn
    }

    fn pool(&self, size: u32) -> Pool<ConnectionManager<MysqlConnection>> {
        Pool::builder().max_size(size).build(ConnectionManager::new(self.url())).expect("a pool")
    }

    fn probed_pool(url: &str, size: u32, probe: Probe) -> Pool<ConnectionManager<MysqlConnection>> {
        Pool::builder()
            .max_size(size)
            .connection_customizer(Box::new(probe))
            .build(ConnectionManager::new(url))
            .expect("a pool")
    }

    fn open_transactions(conn: &mut MysqlConnection) -> i64 {
        Self::number(
            conn,
            "SELECT COUNT(*) FROM information_schema.innodb_trx \
             JOIN information_schema.processlist ON trx_mysql_thread_id = id \
             WHERE db = DATABASE() AND id <> CONNECTION_ID()",
        )
    }

    // the server looks anew only if nobody has asked for a tenth of a second: one asks for all
    fn somebody_waits(conn: &mut MysqlConnection) -> bool {
        static WAITING: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let ours = Self::text(conn, "SELECT DATABASE()").expect("a database");
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = waiting.iter().position(|database| *database == ours) {
            waiting.swap_remove(at);
            return true;
        }
        thread::sleep(Duration::from_millis(fastrand::u64(110..200)));
        let asked = "SELECT DISTINCT db FROM information_schema.innodb_trx \
                     JOIN information_schema.processlist ON trx_mysql_thread_id = id \
                     WHERE trx_state = 'LOCK WAIT' AND db IS NOT NULL";
        *waiting = dsl::sql::<Text>(asked).load(conn).expect(asked);
        let found = waiting.contains(&ours);
        waiting.retain(|database| *database != ours);
        found
    }

    fn number(conn: &mut MysqlConnection, sql: &str) -> i64 {
        dsl::sql::<BigInt>(sql).get_result(conn).expect(sql)
    }

    fn text(conn: &mut MysqlConnection, sql: &str) -> Option<String> {
        dsl::sql::<Nullable<Text>>(sql).get_result(conn).expect(sql)
    }
}

impl Isolable for Mysql {
    fn isolate(conn: &mut MysqlConnection, level: Isolation) {
        // a setting of MariaDB's newer versions, read by them alone
        let strict = match level {
            Isolation::StrictSnapshot => "SET innodb_snapshot_isolation = ON",
            _ => "SET @strict = 0 /*M!101108 , innodb_snapshot_isolation = OFF */",
        };
        let level = level.sql();
        let sql = format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}; {strict}");
        conn.batch_execute(&sql).expect("the level");
    }
}

impl Served for Mysql {
    const KIND: ServerKind = ServerKind::MariaDb;
    const LAST_WORDS: &'static str = "SET autocommit = 1";
    const LAST_WORDS_OF_MANY: &'static str = Self::LAST_WORDS;

    fn address() -> String {
        address(&Self::server()).to_owned()
    }

    fn url_through(&self, port: u16) -> String {
        with_port(&self.url(), port)
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        Self::administer(&format!("DROP DATABASE {}", self.database));
    }
}
