//! What the command line says.

use std::time::Duration;

/// Printed by `--help`.
pub(super) const HELP: &str = "\
Callers and workers on a cluster, which is harmed meanwhile; then every answer is held against what
the cluster holds.

Usage: cluster [OPTIONS]

Options:
  --setup <NAME>       galera (three nodes of MariaDB) or replicas (a primary of PostgreSQL with two
                       standbys), made in a temporary folder [default: galera]
  --fault <NAME>       what is done to it: none, kill, freeze or, to galera, both: while one
                       node stands still, another one dies [default: kill]
  --asynchronous       replicas: no commit waits for a standby, so that the last moments may be lost
  --database <NAME>    with --url: postgres or mysql
  --url <URL>          instead of a set-up: a place of a cluster that somebody else harms, with
                       `{database}` where `tally` and `errands` are to stand; may be repeated
  --seconds <N>        how long it is called [default: 60]
  --flows <N>          how many flows the workers get [default: 400]
  --callers <N>        how many callers each place has [default: 2]
  --workers <N>        how many worker processes there are [default: 3]
  --help               this text

Exits with 1 and the findings if an answer was wrong, or anything was lost, doubled or left over.";

/// What is done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Kill,
    Freeze,
    /// One is killed while commits wait for another, which goes on.
    Both,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) setup: String,
    pub(super) fault: Fault,
    pub(super) asynchronous: bool,
    pub(super) database: String,
    pub(super) urls: Vec<String>,
    pub(super) time: Duration,
    pub(super) flows: usize,
    pub(super) callers: usize,
    pub(super) workers: usize,
}

impl Options {
    /// Reads the arguments. `Ok(None)` for `--help`.
    pub(super) fn read(
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Option<Self>, String> {
        let mut options = Self {
            setup: "galera".to_owned(),
            fault: Fault::Kill,
            asynchronous: false,
            database: "mysql".to_owned(),
            urls: Vec::new(),
            time: Duration::from_mins(1),
            flows: 400,
            callers: 2,
            workers: 3,
        };
        while let Some(name) = arguments.next() {
            match &*name {
                "--help" => return Ok(None),
                "--asynchronous" => options.asynchronous = true,
                _ => {
                    let value = arguments.next();
                    let value = value.ok_or_else(|| format!("`{name}` needs a value"))?;
                    options.set(&name, value)?;
                }
            }
        }
        Ok(Some(options))
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let number = || value.parse::<usize>().map_err(|_| format!("`{value}` is no number"));
        let seconds = || value.parse::<u64>().map_err(|_| format!("`{value}` is no number"));
        match name {
            "--setup" => self.setup = value,
            "--fault" => {
                self.fault = match &*value {
                    "none" => Fault::None,
                    "kill" => Fault::Kill,
                    "freeze" => Fault::Freeze,
                    "both" => Fault::Both,
                    _ => return Err(format!("no fault is called `{value}`; see `--help`")),
                }
            }
            "--database" => self.database = value,
            "--url" => self.urls.push(value),
            "--seconds" => self.time = Duration::from_secs(seconds()?),
            "--flows" => self.flows = number()?,
            "--callers" => self.callers = number()?.max(1),
            "--workers" => self.workers = number()?.max(1),
            _ => return Err(format!("unknown option `{name}`; see `--help`")),
        }
        Ok(())
    }
}
