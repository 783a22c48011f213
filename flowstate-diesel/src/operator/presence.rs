//! The row of a worker while it runs.

use std::collections::BTreeMap;

use flowstate::Definition;

use super::error::Result;
use super::registry::note_definitions;
use crate::dialect::connection::Store;
use crate::dialect::sql::operator::{DeleteOldWorkers, DeleteWorker};
use crate::dialect::sql::statement::Bind;
use crate::transaction;
use crate::transaction::explain::Explain as _;

/// For how long the row of a worker that died is kept, in microseconds: a week.
const KEPT: i64 = 7 * 86_400 * 1_000_000;

/// What a worker says of itself.
#[derive(Debug)]
pub(crate) struct Presence {
    /// The worker's id, with which it signs its claims.
    pub(crate) worker: String,
    pub(crate) program: String,
    pub(crate) version: String,
    /// The states from which it takes records, by flow, as JSON.
    pub(crate) serves: String,
    pub(crate) threads: usize,
    pub(crate) definitions: Vec<&'static Definition>,
}

impl Presence {
    /// The states from which a worker takes records, as they are kept.
    pub(crate) fn serves<'a>(states: impl Iterator<Item = (&'a str, &'a str)>) -> String {
        let mut flows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        states.for_each(|(flow, state)| flows.entry(flow).or_default().push(state));
        serde_json::to_string(&flows).unwrap_or_default()
    }

    /// The name and the version of a program that has not said its own.
    pub(crate) fn this_program() -> (String, String) {
        let path = std::env::current_exe().ok();
        let name = path.as_deref().and_then(|path| path.file_stem());
        (short(&name.map_or("unknown".into(), |name| name.to_string_lossy())), String::new())
    }

    /// Says that the worker has begun: which flows it knows, and that it lives.
    pub(crate) fn begin(&self, conn: &mut impl Store) -> Result<()> {
        let program = short(format!("{} {}", self.program, self.version).trim());
        note_definitions(conn, &program, &self.definitions)?;
        transaction::run(conn, &mut |conn| {
            conn.run::<DeleteOldWorkers>(&[Bind::Int(KEPT)]).explain(conn)
        })?;
        self.note(conn, 0)
    }

    /// Says that the worker lives, and how many records it has claimed.
    pub(crate) fn note(&self, conn: &mut impl Store, running: usize) -> Result<()> {
        let number = |number: usize| Bind::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let host = host();
        let binds = [
            Bind::Text(&self.worker),
            Bind::Text(&self.program),
            Bind::Text(&self.version),
            Bind::Text(&host),
            Bind::Int(std::process::id().into()),
            Bind::Text(&self.serves),
            number(self.threads),
            number(running),
        ];
        let noted = transaction::run(conn, &mut |conn| conn.note_worker(&binds).explain(conn));
        Ok(noted.map(drop)?)
    }

    /// Says that the worker has ended as it should.
    pub(crate) fn end(&self, conn: &mut impl Store) -> Result<()> {
        let ended = transaction::run(conn, &mut |conn| {
            conn.run::<DeleteWorker>(&[Bind::Text(&self.worker)]).explain(conn)
        });
        Ok(ended.map(drop)?)
    }
}

/// As much as every database keeps.
fn short(text: &str) -> String {
    text.chars().filter(|&sign| sign != '\0').take(60).collect()
}

/// The name of this machine, as far as it tells without `unsafe` code.
fn host() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = files.iter().find_map(|file| std::fs::read_to_string(file).ok());
    let name =
        name.or_else(|| std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).ok());
    short(name.as_deref().map_or("unknown", str::trim))
}
