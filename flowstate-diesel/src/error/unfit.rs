//! Why a server or a connection is not fit for use.

use std::fmt;

/// Why a server or a connection is not fit for use, in [`Error::Unfit`](crate::Error::Unfit).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// The server, or the library of SQLite, lacks what every call needs.
    TooOld {
        /// The server and its version as it tells them, such as `MySQL 5.7.44`.
        found: String,
        /// The features that the server lacks; empty where the version alone decides.
        lacks: &'static str,
        /// The servers that can be used instead.
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
    /// `sql_safe_updates` is on, which refuses updates of many records by their ids.
    SafeUpdates,
    /// The session takes texts to be in another character set than Diesel sends: they would be stored
    /// as others.
    Encoding {
        /// What it is set to, as the server tells it.
        found: String,
        /// The statement that sets it right.
        remedy: &'static str,
    },
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
            Self::SafeUpdates => f.write_str(
                "`sql_safe_updates` is on, which refuses updates of many records by their ids; \
                 `SET SESSION sql_safe_updates = 0` for the sessions of flowstate",
            ),
            Self::Encoding { found, remedy } => write!(
                f,
                "this session takes texts to be in another character set than UTF-8, and would store \
                 others than it is given ({found}); `{remedy}` for the sessions of flowstate"
            ),
            Self::OracleMode => f.write_str(
                "`sql_mode` contains `ORACLE`, in which `BEGIN` opens no transaction; take it out \
                 for the sessions of flowstate",
            ),
        }
    }
}
