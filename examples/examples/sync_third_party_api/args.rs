//! What the program can be told.

use std::path::PathBuf;

use clap::Parser;
use clap::value_parser;

use crate::database::Access;

/// Syncs records with a third party that fails now and then, as durable flows in a database.
///
/// The third party is a web server that the program starts on this machine. Everything the flows
/// know is in the database: stop the program whenever you like (Ctrl-C, kill -9) and run it again,
/// and it first finishes what was left. Each run then adds new flows.
#[derive(Debug, Parser)]
#[command(name = "sync_third_party_api")]
pub(crate) struct Args {
    /// The SQLite file; it is created if it is not there.
    #[arg(long, value_name = "PATH", default_value = "sync_third_party_api.db")]
    pub(crate) database: PathBuf,

    /// The database: postgres://…, mysql://… (built with the feature of that name) or a SQLite file.
    #[arg(long, value_name = "URL", conflicts_with = "database")]
    pub(crate) database_url: Option<String>,

    /// How many new flows to start.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u32).range(..=100_000))]
    pub(crate) flows: u32,

    /// Drives the flows by a worker with so many threads, instead of two plain threads. Several such
    /// runs may share a database.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=64))]
    pub(crate) workers: Option<u32>,
}

impl Args {
    /// The URL of a server, or an absolute path.
    pub(crate) fn url(&self) -> Result<String, std::io::Error> {
        let path = match &self.database_url {
            Some(url) if url.contains("://") => return Ok(url.clone()),
            Some(path) => PathBuf::from(path),
            None => self.database.clone(),
        };
        let not_text = |_| std::io::Error::other("the path of the database is not UTF-8");
        std::path::absolute(path)?.into_os_string().into_string().map_err(not_text)
    }

    pub(crate) fn access(&self) -> Access {
        if self.workers.is_some() { Access::Shared } else { Access::Alone }
    }
}
