//! Why a server or a connection is not fit for use.

use std::fmt;

/// Why a server or a connection is not fit for use, in [`Error::Unfit`](crate::Error::Unfit).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// The server, or the library of SQLite, lacks what every call needs.
    TooOld {
        /// What was found, such as `MySQL 5.7.44`.
        found: String,
        /// What it lacks; empty where the version alone decides.
        lacks: &'static str,
        /// What to use instead.
        needed: &'static str,
    },
    /// SQLite was built without its functions of JSON.
    NoJson {
        /// Its version.
        version: String,
    },
    /// SQLite does not enforce foreign keys, though it was told to.
    NoForeignKeys,
    /// SQLite stayed in another journal mode than it was told to use.
    JournalModeKept {
        /// The mode that was asked for.
        wanted: &'static str,
        /// The mode that there is.
        found: String,
    },
    /// A pool opened a second connection to a database in memory, which is another database.
    SecondConnectionInMemory,
    /// The server's binary log is one of statements, which takes no changes at the session's isolation
    /// level.
    StatementLog,
    /// `sql_mode` contains `ORACLE`, in which `BEGIN` opens no transaction.
    OracleMode,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld { found, lacks: "", needed } => {
                write!(f, "this is {found}; flowstate needs {needed}")
            }
            Self::TooOld { found, lacks, needed } => {
                write!(f, "this is {found}, which has no {lacks}; flowstate needs {needed}")
            }
            Self::NoJson { version } => write!(
                f,
                "this SQLite {version} has no functions of JSON: build it with \
                 `SQLITE_ENABLE_JSON1`, take 3.38 or newer, or the feature `sqlite-bundled`"
            ),
            Self::NoForeignKeys => f.write_str(
                "this SQLite does not enforce foreign keys: it was built with \
                 SQLITE_OMIT_FOREIGN_KEY, or a transaction is open",
            ),
            Self::JournalModeKept { wanted, found } => write!(
                f,
                "the journal mode stayed `{found}` where `{wanted}` was wanted: another connection \
                 is using the file, or its file system cannot do it"
            ),
            Self::SecondConnectionInMemory => f.write_str(
                "a database in memory belongs to one connection, each further one would see an \
                 empty database: use a file, or a pool of `.max_size(1)`",
            ),
            Self::StatementLog => f.write_str(
                "this server's binary log is one of statements, which takes no changes at the \
                 isolation level `READ COMMITTED`; set `binlog_format = ROW`, or another level",
            ),
            Self::OracleMode => f.write_str(
                "`sql_mode` contains `ORACLE`, in which `BEGIN` opens no transaction; take it out \
                 for the sessions of flowstate",
            ),
        }
    }
}
