//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::scenario::Scenario;

/// The speed of flowstate, against the same work by hand.
#[derive(Debug, Parser)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measures times, always in turn with a floor written by hand.
    Run(Run),
    /// Counts the instructions of a transition with `valgrind --tool=callgrind`.
    Instructions(Instructions),
    /// Measures how long a flow takes to compile, its work declared as steps, against the same as
    /// transitions.
    Compile {
        /// How often each is built.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// What a process of its own does for the others.
    #[command(hide = true, subcommand)]
    Child(Child),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Which databases.
    #[arg(long, value_delimiter = ',', default_value = "sqlite")]
    pub(crate) databases: Vec<Kind>,
    /// Which scenarios: all, if none is named.
    #[arg(long, value_delimiter = ',')]
    pub(crate) scenarios: Vec<Scenario>,
    /// On how many threads.
    #[arg(long, value_delimiter = ',', default_value = "1,4,8")]
    pub(crate) threads: Vec<usize>,
    /// How often each side runs.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// How long a side runs in a round, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) millis: u64,
    /// How many records are many, where tables grow.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) backlog: usize,
    /// The program of `bench/river`, for the scenario `river` on PostgreSQL.
    #[arg(long)]
    pub(crate) river: Option<PathBuf>,
    /// A folder for SQLite's files: it decides which disk is measured.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) servers: Servers,
    /// Writes the figures as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Servers {
    /// A PostgreSQL server and a database in which schemas may be created.
    #[arg(
        long,
        env = "FLOWSTATE_POSTGRES_URL",
        default_value = "postgres://postgres@127.0.0.1:5432/postgres"
    )]
    pub(crate) postgres: String,
    /// A MySQL or MariaDB server on which databases may be created.
    #[arg(long, env = "FLOWSTATE_MYSQL_URL", default_value = "mysql://root@127.0.0.1:3306/test")]
    pub(crate) mysql: String,
    /// Another one with `innodb_flush_log_at_trx_commit = 0`, for `mysql-relaxed`.
    #[arg(long, default_value = "mysql://root@127.0.0.1:3307/test")]
    pub(crate) mysql_relaxed: String,
}

/// A database, and how durable it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A file with a write-ahead log and `synchronous = NORMAL`.
    Sqlite,
    /// SQLite with `synchronous = FULL`.
    SqliteFull,
    /// PostgreSQL as the server is set up.
    Postgres,
    /// PostgreSQL with `synchronous_commit = off`.
    PostgresRelaxed,
    /// MySQL or MariaDB as the server is set up.
    Mysql,
    /// A server that does not wait for the disk.
    MysqlRelaxed,
}

#[derive(Debug, Args)]
pub(crate) struct Instructions {
    /// Which databases.
    #[arg(long, value_delimiter = ',', default_value = "sqlite")]
    pub(crate) databases: Vec<Kind>,
    /// Fails if a count is more than 10 % above the one in this file.
    #[arg(long)]
    pub(crate) check: Option<PathBuf>,
    /// Writes the counts to this file.
    #[arg(long)]
    pub(crate) write: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) servers: Servers,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Child {
    /// Creates records one by one, and prints when each was committed.
    Create {
        url: String,
        count: usize,
        /// The pause after each, in milliseconds.
        pause: u64,
        /// Announces to other processes what it commits.
        #[arg(long)]
        announced: bool,
    },
    /// Works for a while on a backlog, and prints the peak of its memory.
    Work { url: String, threads: usize },
    /// Runs so many flows, for a profiler to watch.
    Flows { url: String, side: WhichSide, count: usize },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WhichSide {
    Ours,
    Floor,
}
