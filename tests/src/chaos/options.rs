//! What the command line says.

use std::time::Duration;

/// Printed by `--help`.
pub(super) const HELP: &str = "\
Runs flows on worker processes that are killed at random, and checks that each ends as it must.

Usage: chaos [OPTIONS]

Options:
  --database <NAME>    sqlite, postgres or mysql (MariaDB); servers are made in a temporary
                       folder and restarted half-way [default: sqlite]
  --seconds <N>        how long workers are killed [default: 60]
  --flows <N>          how many flows [default: 2000]
  --workers <N>        how many processes [default: 4]
  --kill-every <MS>    the pause between two kills [default: 300]
  --help               this text

Exits with 1 and the findings if something was lost, doubled or left over.";

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) database: String,
    pub(super) time: Duration,
    pub(super) flows: usize,
    pub(super) workers: usize,
    pub(super) kill_every: Duration,
}

impl Options {
    /// Reads the arguments. `Ok(None)` for `--help`.
    pub(super) fn read(arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            database: "sqlite".to_owned(),
            time: Duration::from_mins(1),
            flows: 2_000,
            workers: 4,
            kill_every: Duration::from_millis(300),
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            if name == "--help" {
                return Ok(None);
            }
            let value = arguments.next().ok_or_else(|| format!("`{name}` needs a value"))?;
            let number = || value.parse::<usize>().map_err(|_| format!("`{value}` is no number"));
            let time = || value.parse::<u64>().map_err(|_| format!("`{value}` is no number"));
            match &*name {
                "--database" => options.database = value,
                "--seconds" => options.time = Duration::from_secs(time()?),
                "--flows" => options.flows = number()?,
                "--workers" => options.workers = number()?.max(1),
                "--kill-every" => options.kill_every = Duration::from_millis(time()?.max(1)),
                _ => return Err(format!("unknown option `{name}`; see `--help`")),
            }
        }
        Ok(Some(options))
    }
}
