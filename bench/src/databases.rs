//! From the command line to a database.

use std::path::Path;

use flowstate_diesel::sqlite::Synchronous;

use crate::args::{Kind, Servers};
use crate::database::Database;
use crate::database::sqlite::Sqlite;

/// Something to be done on a database of any kind.
pub(crate) trait Visit {
    fn visit<D: Database>(&mut self, database: &D);
}

/// Makes a database of this kind, and removes it afterwards.
pub(crate) fn visit(kind: Kind, folder: Option<&Path>, servers: &Servers, visit: &mut impl Visit) {
    match kind {
        Kind::Sqlite => visit.visit(&Sqlite::new(folder, Synchronous::Normal)),
        Kind::SqliteFull => visit.visit(&Sqlite::new(folder, Synchronous::Full)),
        Kind::Postgres => postgres(servers, true, visit),
        Kind::PostgresRelaxed => postgres(servers, false, visit),
        Kind::Mysql => mysql(&servers.mysql, "as set up", visit),
        Kind::MysqlRelaxed => mysql(&servers.mysql_relaxed, "flush_log 0", visit),
    }
}

#[cfg(feature = "postgres")]
fn postgres(servers: &Servers, synchronous_commit: bool, visit: &mut impl Visit) {
    let server = &servers.postgres;
    visit.visit(&crate::database::postgres::Postgres::new(server, synchronous_commit));
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Servers, _: bool, _: &mut impl Visit) {
    eprintln!("PostgreSQL is left out: run with `--features postgres`");
}

#[cfg(feature = "mysql")]
fn mysql(server: &str, level: &'static str, visit: &mut impl Visit) {
    visit.visit(&crate::database::mysql::Mysql::new(server, level));
}

#[cfg(not(feature = "mysql"))]
fn mysql(_: &str, _: &'static str, _: &mut impl Visit) {
    eprintln!("MySQL is left out: run with `--features mysql`");
}
