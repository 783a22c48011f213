//! The database behind a URL, whichever it is.

#[cfg(feature = "sqlite")]
use std::path::Path;

use flowstate_diesel::prelude::*;

use crate::command::Problem;

/// A connection to one of the databases that this program was built with.
pub enum Database {
    /// A file.
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteConnection),
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(PgConnection),
    /// MySQL or MariaDB.
    #[cfg(feature = "mysql")]
    Mysql(MysqlConnection),
}

/// Does the same on whichever database it is: `on!(database, conn => …)`.
macro_rules! on {
    ($database:expr, $conn:ident => $body:expr) => {
        match $database {
            #[cfg(feature = "sqlite")]
            $crate::database::Database::Sqlite($conn) => $body,
            #[cfg(feature = "postgres")]
            $crate::database::Database::Postgres($conn) => $body,
            #[cfg(feature = "mysql")]
            $crate::database::Database::Mysql($conn) => $body,
        }
    };
}

impl Database {
    /// Connects to `postgres://…`, `mysql://…`, or else to a SQLite file, with or without
    /// `sqlite://` before its path. Makes the file if `create`, and only then.
    ///
    /// # Errors
    /// [`Problem::Usage`] if this program was not built for the database, or the file is not there;
    /// [`Problem::Connection`].
    pub fn open(url: &str, create: bool) -> Result<Self, Problem> {
        match url.split_once("://").map_or("sqlite", |(scheme, _)| scheme) {
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => connect(url).map(Self::Postgres),
            #[cfg(feature = "mysql")]
            "mysql" => connect(url).map(Self::Mysql),
            #[cfg(feature = "sqlite")]
            "sqlite" | "file" => sqlite(url, create).map(Self::Sqlite),
            scheme => {
                let _ = create;
                Err(Problem::Usage(format!(
                    "`{scheme}` is no database that this program knows: build it for one, with \
                     `cargo install flowstate-ops --features postgres,mysql`"
                )))
            }
        }
    }
}

#[cfg(any(feature = "mysql", feature = "postgres"))]
fn connect<C: flowstate_diesel::diesel::Connection>(url: &str) -> Result<C, Problem> {
    C::establish(url).map_err(|error| Problem::Connection(error.to_string()))
}

#[cfg(feature = "sqlite")]
fn sqlite(url: &str, create: bool) -> Result<SqliteConnection, Problem> {
    use flowstate_diesel::diesel::connection::SimpleConnection as _;

    let path = url.strip_prefix("sqlite://").unwrap_or(url);
    let is_uri = path.starts_with("file:");
    if !create && !is_uri && path != ":memory:" && !Path::new(path).is_file() {
        return Err(Problem::Usage(format!(
            "there is no file `{path}`: say where the database is, with `--database-url` or \
             DATABASE_URL"
        )));
    }
    let failed = |error: &dyn std::fmt::Display| Problem::Connection(error.to_string());
    let mut conn = SqliteConnection::establish(path).map_err(|error| failed(&error))?;
    // waits for a writer, as a reader hardly ever has to; changes nothing of the file
    conn.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON")
        .map_err(|error| failed(&error))?;
    Ok(conn)
}

#[cfg(feature = "dashboard")]
impl Database {
    /// Refuses tables that are older or newer than this version, as every command does.
    ///
    /// # Errors
    /// [`Problem::Usage`] says what to do about it.
    pub fn check_tables(&mut self) -> Result<(), Problem> {
        on!(self, conn => crate::command::check_schema(conn))
    }

    /// Serves the dashboard of it to this machine, to look and not to touch.
    ///
    /// # Errors
    /// [`Problem::Io`]: the server takes no requests any more.
    pub fn serve(&mut self, server: &tiny_http::Server) -> Result<(), Problem> {
        use crate::dashboard::{Dashboard, loopback, serve};

        let dashboard = Dashboard::new(loopback);
        on!(self, conn => serve(&dashboard, server, conn))?;
        Ok(())
    }
}

impl Database {
    /// Runs a command on it.
    ///
    /// # Errors
    /// As [`Commands::run`](crate::Commands::run).
    pub fn run(
        &mut self,
        command: &crate::Commands,
        out: &mut dyn std::io::Write,
    ) -> Result<crate::Exit, Problem> {
        on!(self, conn => command.run(conn, out))
    }
}
