//! Commands for the tables as a whole.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use flowstate_diesel::{Purge as Purging, Store};

use super::problem::{Exit, Problem};
use super::select::duration;
use crate::operator::{Filter, list, schema};

/// `flowstate purge`
#[derive(Clone, Debug, Args)]
pub struct Purge {
    /// Completed so long ago: `90d`, `12w`
    #[arg(long, value_parser = duration)]
    older_than: Duration,
    /// Only count them
    #[arg(long)]
    dry_run: bool,
}

impl Purge {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        if self.dry_run {
            let filter = Filter { in_state_for: Some(self.older_than), ..Filter::default() };
            let (mut records, mut after) = (0, None);
            loop {
                let page = list(&filter, after.as_ref(), 1_000, conn)?;
                records += page.records.iter().filter(|one| one.completed_at.is_some()).count();
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            writeln!(out, "would delete {records} records, with their histories and artefacts")?;
            return Ok(Exit::Done);
        }
        let deleted = Purging::older_than(self.older_than).run(conn)?;
        writeln!(out, "deleted {deleted} records, with their histories and artefacts")?;
        Ok(Exit::Done)
    }
}

pub(super) fn audit<C: Store>(conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
    let audit = flowstate_diesel::audit(conn)?;
    writeln!(out, "{audit}")?;
    Ok(if audit.is_clean() { Exit::Done } else { Exit::Found })
}

pub(super) fn migrate<C: Store>(conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
    let applied = flowstate_diesel::migrate(conn)?;
    if applied.is_empty() {
        writeln!(out, "the tables are up to date")?;
    }
    for version in applied {
        writeln!(out, "applied {version}")?;
    }
    Ok(Exit::Done)
}

/// Refuses tables that are older or newer than this version.
pub(super) fn check_schema<C: Store>(conn: &mut C) -> Result<(), Problem> {
    let found = schema(conn)?;
    if let Some(version) = found.unknown.first() {
        return Err(Problem::Usage(format!(
            "the tables are newer than this `flowstate` ({version}): install the version that your \
             programs use"
        )));
    }
    if let Some(version) = found.pending.first() {
        return Err(Problem::Usage(format!(
            "the tables are older than this `flowstate` ({version} is missing): run `flowstate \
             migrate`, or install the version that your programs use"
        )));
    }
    Ok(())
}
