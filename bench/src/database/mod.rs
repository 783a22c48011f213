//! The databases, each made for one scenario and removed after it.

#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod sqlite;

use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool, R2D2Connection};
use flowstate_diesel::Store;

use crate::floor::Floor;

/// A database with the tables of flowstate, and a table `bench_ledger` of the user's.
pub(crate) trait Database: Sync {
    type Conn: Store + R2D2Connection + Send + 'static;

    /// The slow path by hand through Diesel's query DSL, where that is measured too.
    const GUARDED: Option<fn(&mut Self::Conn, i64, i64)> = None;

    /// The database and how durable it is, for the reports.
    fn name(&self) -> String;

    /// What a child process needs to find it.
    fn url(&self) -> String;

    /// A connection, set up as the documentation says.
    fn connect(&self) -> Self::Conn;

    /// A connection of the thinnest driver, with the same settings.
    fn floor(&self) -> Box<dyn Floor>;

    /// A pool of such connections.
    fn pool(&self, size: usize) -> Pool<ConnectionManager<Self::Conn>>;

    /// Whether the user's table allows it, through Diesel.
    fn allows(conn: &mut Self::Conn) -> QueryResult<bool>;

    /// A write to the user's table, through Diesel.
    fn pay(conn: &mut Self::Conn, id: i64) -> QueryResult<usize>;

    /// What the last parts of a bulk load need, such as statistics.
    fn settle(&self);

    fn run(&self, sql: &str) {
        self.connect().batch_execute(sql).expect(sql);
    }
}

/// The user's own table, for guards and `within`.
const LEDGER: &str =
    "CREATE TABLE bench_ledger (record VARCHAR(64) NOT NULL, amount BIGINT NOT NULL)";

fn prepare<D: Database>(database: &D) {
    flowstate_diesel::migrate(&mut database.connect()).expect("migrated");
    database.run(LEDGER);
    database.run("INSERT INTO bench_ledger VALUES ('open', 1)");
    database.run("CREATE INDEX bench_ledger_record ON bench_ledger (record)");
}

diesel::table! {
    bench_ledger (record) {
        record -> Text,
        amount -> BigInt,
    }
}

/// The user's own statements: the same for every connection, but Diesel's bounds can only be met
/// for a concrete one.
macro_rules! uses_ledger {
    () => {
        fn allows(conn: &mut Self::Conn) -> diesel::QueryResult<bool> {
            use diesel::dsl::exists;

            use crate::database::bench_ledger::dsl::{amount, bench_ledger, record};
            // not `first`: its LIMIT is bound, for which SQLite compiles a statement anew each time
            let open = bench_ledger.filter(record.eq("open")).filter(amount.eq(1));
            diesel::select(exists(open)).get_result(conn)
        }

        fn pay(conn: &mut Self::Conn, id: i64) -> diesel::QueryResult<usize> {
            use crate::database::bench_ledger::dsl::{amount, bench_ledger, record};
            diesel::insert_into(bench_ledger)
                .values((record.eq("paid"), amount.eq(id)))
                .execute(conn)
        }
    };
}
use uses_ledger;

/// A name that nobody else has.
#[cfg(any(feature = "mysql", feature = "postgres"))]
fn fresh_name() -> String {
    format!("flowstate_bench_{}_{:016x}", std::process::id(), fastrand::u64(..))
}
