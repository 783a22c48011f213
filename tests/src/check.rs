//! What tests look at afterwards.

use diesel::sql_types::BigInt;
use diesel::{RunQueryDsl, dsl};
use flowstate_diesel::AsStore;

use crate::Database;

/// The oracle: no gaps, no orphans, every state where its history ends, every step of a history
/// from where the one before it led.
pub fn clean<S: AsStore<Store: Counted>>(conn: &mut S) {
    let audit = flowstate_diesel::audit(conn).expect("the audit ran");
    assert!(audit.is_clean(), "{audit}");
    let broken = conn.as_store().count(BROKEN_CHAINS);
    assert_eq!(broken, 0, "transitions that start elsewhere than the one before them led");
}

/// A state may be called by its alias: a request calls it by its present name, a worker as the row
/// does.
const BROKEN_CHAINS: &str = "SELECT COUNT(*) FROM flowstate_transitions t \
     JOIN flowstate_transitions p ON p.flow_id = t.flow_id AND p.seq = t.seq - 1 \
     WHERE t.from_state <> p.to_state \
     AND NOT (p.to_state = 'paused' AND t.from_state = 'parked') \
     AND NOT (p.to_state = 'at_work' AND t.from_state = 'working')";

/// A connection that counts, of whatever database.
pub trait Counted {
    /// The number that a query gives.
    fn count(&mut self, sql: &str) -> i64;
}

macro_rules! counted {
    ($($connection:ty $(: $feature:literal)?),*) => {
        $($(#[cfg(feature = $feature)])?
        impl Counted for $connection {
            fn count(&mut self, sql: &str) -> i64 {
                dsl::sql::<BigInt>(sql).get_result(self).expect(sql)
            }
        })*
    };
}
counted!(
    diesel::SqliteConnection,
    diesel::PgConnection: "postgres",
    diesel::MysqlConnection: "mysql"
);

/// How many rows a table has.
pub fn rows<D: Database>(conn: &mut D::Conn, table: &str) -> i64 {
    D::number(conn, &format!("SELECT COUNT(*) FROM {table}"))
}

/// How many blocks PostgreSQL reads for a query, which it runs.
pub fn blocks<D: Database>(conn: &mut D::Conn, query: &str) -> i64 {
    let plan = D::text(conn, &format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}"));
    let plan = plan.expect("a plan");
    let (_, hits) = plan.split_once("\"Shared Hit Blocks\": ").expect("buffers");
    hits.split(',').next().and_then(|hits| hits.parse().ok()).expect("a number")
}

/// How many rows the three tables have: flows, transitions, artefacts.
pub fn sizes<D: Database>(conn: &mut D::Conn) -> [i64; 3] {
    ["flowstate_flows", "flowstate_transitions", "flowstate_artefacts"]
        .map(|table| rows::<D>(conn, table))
}

/// Makes a table of the user's own: effects by name.
pub fn make_effects(conn: &mut impl diesel::connection::SimpleConnection) {
    conn.batch_execute("CREATE TABLE effects (name VARCHAR(64) NOT NULL)").expect("a table");
}

/// Takes the error of a result, which must match the pattern.
#[macro_export]
macro_rules! refused {
    ($result:expr, $pattern:pat => $value:expr) => {
        match $result {
            Err($pattern) => $value,
            Err(other) => panic!("another error: {other:?}"),
            Ok(_) => panic!("it was not refused"),
        }
    };
    ($result:expr, $pattern:pat) => {
        $crate::refused!($result, $pattern => ())
    };
}

/// How many rows this connection has read one after the other.
pub fn rows_read<D: Database>(conn: &mut D::Conn) -> i64 {
    let schema = if is_mariadb::<D>(conn) { "information_schema" } else { "performance_schema" };
    let sql = format!(
        "SELECT CAST(SUM(variable_value) AS SIGNED) FROM {schema}.session_status \
         WHERE variable_name IN ('Handler_read_next', 'Handler_read_prev', 'Handler_read_rnd_next')"
    );
    D::number(conn, &sql)
}

/// Whether the server is `MariaDB`, not MySQL.
///
/// # Panics
/// If it does not say its version.
pub fn is_mariadb<D: Database>(conn: &mut D::Conn) -> bool {
    D::text(conn, "SELECT VERSION()").expect("a version").contains("MariaDB")
}
