//! Databases on the servers that the environment names.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use flowstate_diesel::Audit;
use tempfile::TempDir;

use super::Database;

macro_rules! on_server {
    ($name:ident, $connection:ty, $variable:literal, drop: $drop:literal) => {
        #[doc = concat!("A database on the server of `", $variable, "`.")]
        pub(crate) struct $name {
            name: String,
            folder: TempDir,
        }

        impl $name {
            /// The feature asks for its tests: without the variable they fail.
            fn server() -> String {
                std::env::var($variable).expect($variable)
            }

            fn url(&self) -> String {
                with_database(&Self::server(), &self.name)
            }

            fn administer(sql: &str) {
                let mut conn = <$connection>::establish(&Self::server()).expect("the server");
                conn.batch_execute(sql).expect(sql);
            }
        }

        impl Database for $name {
            fn fresh() -> Self {
                let name = fresh_name();
                Self::administer(&format!("CREATE DATABASE {name}"));
                Self { name, folder: tempfile::tempdir().expect("a folder") }
            }

            fn arguments(&self) -> Vec<String> {
                vec!["--database-url".to_owned(), self.url()]
            }

            fn folder(&self) -> &Path {
                self.folder.path()
            }

            fn try_number(&self, query: &str) -> Option<i64> {
                let mut conn = <$connection>::establish(&self.url()).expect("a connection");
                sql::<BigInt>(query).get_result(&mut conn).ok()
            }

            fn audit(&self) -> Audit {
                let mut conn = <$connection>::establish(&self.url()).expect("a connection");
                flowstate_diesel::audit(&mut conn).expect("the audit ran")
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                Self::administer(&format!($drop, self.name));
            }
        }
    };
}
#[cfg(feature = "postgres")]
on_server!(
    Postgres, PgConnection, "FLOWSTATE_POSTGRES_URL", drop: "DROP DATABASE {} WITH (FORCE)"
);
#[cfg(feature = "mysql")]
on_server!(Mysql, MysqlConnection, "FLOWSTATE_MYSQL_URL", drop: "DROP DATABASE {}");

fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("flowstate_example_{}_{count}", std::process::id())
}

/// The URL with another database; it may have none yet.
fn with_database(url: &str, database: &str) -> String {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, place) = place.split_once("://").expect("a URL");
    let server = place.split('/').next().unwrap_or_default();
    format!("{scheme}://{server}/{database}?{query}").trim_end_matches('?').to_owned()
}
