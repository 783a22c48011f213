use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{Connection, PgConnection, QueryResult, RunQueryDsl, dsl};

use super::isolated::Isolable;
use super::server::{Served, address, fresh_name, server, with_port};
use super::{Database, Isolation};
use crate::own_server::ServerKind;
use crate::statement_probe::Probe;

/// PostgreSQL, a schema of its own on the server of `FLOWSTATE_POSTGRES_URL`.
#[derive(Debug)]
pub struct Postgres {
    schema: String,
}

impl Postgres {
    /// The server, with the database in which the schemas are made.
    #[must_use]
    pub fn server() -> String {
        server("FLOWSTATE_POSTGRES_URL")
    }

    /// The name of the schema.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    fn administer(sql: &str) {
        let mut conn = PgConnection::establish(&Self::server()).expect("the server");
        conn.batch_execute(sql).expect(sql);
    }
}

impl Database for Postgres {
    type Conn = PgConnection;

    const FOLDER: &'static str = "postgresql";
    // the server's default, which a test asserts
    const ISOLATION: Isolation = Isolation::ReadCommitted;

    fn empty() -> Self {
        let schema = fresh_name();
        Self::administer(&format!("CREATE SCHEMA {schema}"));
        Self { schema }
    }

    fn url(&self) -> String {
        let server = Self::server();
        let separator = if server.contains('?') { '&' } else { '?' };
        let schema = &self.schema;
        // with a bound for waits, as the documentation says
        let options = format!("-c%20lock_timeout%3D30s%20-csearch_path%3D{schema}");
        format!("{server}{separator}options={options}&application_name={schema}")
    }

    fn connect_to(url: &str) -> PgConnection {
        PgConnection::establish(url).expect("a connection")
    }

    fn impatient(&self) -> PgConnection {
        let mut conn = self.connect();
        conn.batch_execute("SET lock_timeout = '100ms'").expect("a time-out");
        conn
    }

    fn pool(&self, size: u32) -> Pool<ConnectionManager<PgConnection>> {
        Pool::builder().max_size(size).build(ConnectionManager::new(self.url())).expect("a pool")
    }

    fn probed_pool(url: &str, size: u32, probe: Probe) -> Pool<ConnectionManager<PgConnection>> {
        Pool::builder()
            .max_size(size)
            .connection_customizer(Box::new(probe))
            .build(ConnectionManager::new(url))
            .expect("a pool")
    }

    fn open_transactions(conn: &mut PgConnection) -> i64 {
        Self::number(
            conn,
            "SELECT COUNT(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL \
             AND application_name = current_setting('application_name') \
             AND pid <> pg_backend_pid()",
        )
    }

    fn somebody_waits(conn: &mut PgConnection) -> bool {
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                       AND application_name = current_setting('application_name')";
        // what it shows stays as it is for the rest of a transaction
        let fresh = "SELECT pg_stat_clear_snapshot()";
        conn.batch_execute(fresh).expect(fresh);
        Self::number(conn, waiting) > 0
    }

    fn number(conn: &mut PgConnection, sql: &str) -> i64 {
        answer(|| dsl::sql::<BigInt>(sql).get_result(conn)).expect(sql)
    }

    fn text(conn: &mut PgConnection, sql: &str) -> Option<String> {
        answer(|| dsl::sql::<Nullable<Text>>(sql).get_result(conn)).expect(sql)
    }
}

/// Asks again where others' transactions were in the way, as they may be of a mere question in
/// SERIALIZABLE, until they are not.
fn answer<T>(mut ask: impl FnMut() -> QueryResult<T>) -> QueryResult<T> {
    loop {
        match ask() {
            Err(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _)) => {}
            answer => return answer,
        }
    }
}

impl Isolable for Postgres {
    fn isolate(conn: &mut PgConnection, level: Isolation) {
        let level = level.sql();
        let sql = format!("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}");
        conn.batch_execute(&sql).expect("the level");
    }
}

impl Served for Postgres {
    const KIND: ServerKind = ServerKind::Postgres;
    // the statement is known by its name; the actor is among its binds
    const LAST_WORDS: &'static str = "cut here";

    fn address() -> String {
        address(&Self::server()).to_owned()
    }

    fn url_through(&self, port: u16) -> String {
        format!("{}&sslmode=disable", with_port(&self.url(), port))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        Self::administer(&format!("DROP SCHEMA {} CASCADE", self.schema));
    }
}
