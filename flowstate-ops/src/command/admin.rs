//! Commands for the tables as a whole.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use flowstate_diesel::{Purge as Purging, Store};
use indicatif::ProgressBar;
use serde_json::json;

use super::output::{Format, printable};
use super::problem::{Exit, Problem};
use super::select::{duration, each};
use super::why::Why;
use crate::operator::{Filter, schema};

/// `flowstate purge`
#[derive(Clone, Debug, Args)]
pub struct Purge {
    /// Completed so long ago: `90d`, `12w`
    #[arg(long, value_parser = duration)]
    older_than: Duration,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    format: Format,
}

impl Purge {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        if self.why.dry_run {
            let ids = self.completed(conn)?;
            return self.say("would delete", &ids, out);
        }
        self.why.wish()?;
        let (mut ids, bar) = (Vec::new(), ProgressBar::new_spinner());
        let purged = Purging::older_than(self.older_than).run_telling(conn, |gone| {
            ids.extend_from_slice(gone);
            bar.set_message(format!("{} records deleted", ids.len()));
            bar.tick();
        });
        bar.finish_and_clear();
        let (actor, reason) = (&*self.why.actor, self.why.reason());
        // no history is left that could keep it
        tracing::info!(actor, reason, deleted = ids.len(), "purged by hand");
        // what is deleted is said, also of one that has failed
        self.say("deleted", &ids, out)?;
        purged?;
        Ok(Exit::Done)
    }

    /// The ids of what is to go.
    fn completed<C: Store>(&self, conn: &mut C) -> Result<Vec<i64>, Problem> {
        let filter = Filter { in_state_for: Some(self.older_than), ..Filter::default() };
        let mut ids = Vec::new();
        each(&filter, conn, |record| ids.extend(record.completed_at.map(|_| record.id)))?;
        Ok(ids)
    }

    fn say(&self, verb: &str, ids: &[i64], out: &mut dyn Write) -> Result<Exit, Problem> {
        let (actor, reason) = (&*self.why.actor, self.why.reason());
        let answer = json!({
            "records": ids.len(), "ids": ids, "dry_run": self.why.dry_run,
            "actor": actor, "reason": reason,
        });
        self.format.print(out, &answer, ids.iter().map(ToString::to_string), || {
            let by =
                if self.why.dry_run { String::new() } else { format!(", by {actor}: {reason}") };
            let records = ids.len();
            format!(
                "{verb} {records} records, with their histories and artefacts{}",
                printable(&by)
            )
        })?;
        Ok(Exit::Done)
    }
}

/// `flowstate migrate`
#[derive(Clone, Copy, Debug, Args)]
pub struct Migrate {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn audit<C: Store>(
    format: Format,
    conn: &mut C,
    out: &mut dyn Write,
) -> Result<Exit, Problem> {
    let audit = flowstate_diesel::audit(conn)?;
    // a record may be there for several reasons
    let ids: BTreeSet<_> = audit.findings.iter().map(|found| found.id).collect();
    let ids = ids.iter().map(ToString::to_string);
    format.print(out, &audit, ids, || printable(&audit.to_string()))?;
    Ok(if audit.is_clean() { Exit::Done } else { Exit::Found })
}

impl Migrate {
    /// Whether it may make a database that is not there.
    #[must_use]
    pub fn creates(self) -> bool {
        !self.dry_run
    }

    pub(super) fn run<C: Store>(self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        let (applied, said) = if self.dry_run {
            (schema(conn)?.pending, "would apply")
        } else {
            let applied = flowstate_diesel::migrate(conn)?;
            (applied.into_iter().map(str::to_owned).collect(), "applied")
        };
        if applied.is_empty() {
            writeln!(out, "the tables are up to date")?;
        }
        for version in applied {
            writeln!(out, "{said} {version}")?;
        }
        Ok(Exit::Done)
    }
}

/// Refuses tables that are older or newer than this version.
pub(crate) fn check_schema<C: Store>(conn: &mut C) -> Result<(), Problem> {
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
