//! Commands that only read: none takes a lock.

use std::io::Write;

use clap::{Args, ValueEnum};
use flowstate_diesel::Store;
use serde_json::json;

use super::output::{Format, age, line, printable, table, time};
use super::problem::{Exit, Problem};
use super::select::Selection;
use crate::diagram;
use crate::operator::{Cursor, Shown, failures, list, numbers, registry, show};

/// `flowstate list`
#[derive(Clone, Debug, Args)]
pub struct List {
    #[command(flatten)]
    selection: Selection,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Go on from where another list has ended
    #[arg(long, value_parser = cursor)]
    after: Option<Cursor>,
    #[command(flatten)]
    format: Format,
}

impl List {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        let filter = self.selection.filter();
        let (mut records, mut after) = (Vec::new(), self.after.clone());
        // what is rare is searched for in several steps
        loop {
            let page = list(&filter, after.as_ref(), self.limit - records.len(), conn)?;
            records.extend(page.records);
            after = page.next;
            if after.is_none() || records.len() >= self.limit {
                break;
            }
        }
        let ids = records.iter().map(|record| record.id.to_string());
        let now = registry(conn)?.now;
        let answer = json!({ "records": records, "next": after.as_ref().map(Cursor::to_text) });
        self.format.print(out, &answer, ids, || {
            let headings = ["id", "flow", "state", "for", "tries", "due", "stuck", "error"];
            let mut table = table(&headings);
            for record in &records {
                table.add_row([
                    record.id.to_string(),
                    printable(&record.flow),
                    printable(&record.state),
                    age(now - record.updated_at),
                    record.attempts.to_string(),
                    time(record.due_at),
                    record.stuck.map(|stuck| stuck.as_str().to_owned()).unwrap_or_default(),
                    record.error.as_deref().map(line).unwrap_or_default(),
                ]);
            }
            table
        })?;
        if let Some(next) = after {
            let more = format!("more: --after '{}'", printable(&next.to_text()));
            if self.format.is_table() {
                writeln!(out, "{more}")?;
            } else if self.format.is_ids() {
                // the ids go on to another command, which would not see that there are more
                writeln!(std::io::stderr(), "{more}")?;
            }
        }
        Ok(Exit::Done)
    }
}

/// One record.
#[derive(Clone, Debug, Args)]
pub struct Of {
    /// The id of the record
    id: i64,
    #[command(flatten)]
    format: Format,
}

impl Of {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        let shown = show(self.id, conn)?;
        let ids = shown.history.iter().map(|row| row.seq.to_string());
        self.format.print(out, &shown.history, ids, || history(&shown))?;
        Ok(Exit::Done)
    }
}

/// `flowstate show`
#[derive(Clone, Debug, Args)]
pub struct Show {
    #[command(flatten)]
    of: Of,
    /// Show the artefacts, too
    #[arg(long)]
    artefacts: bool,
}

impl Show {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        let mut shown = show(self.of.id, conn)?;
        if self.of.format.is_table() {
            self.in_words(&shown, out)?;
        } else {
            if !self.artefacts {
                shown.artefacts.clear();
            }
            let ids = [shown.standing.id.to_string()];
            self.of.format.print(out, &shown, ids, || history(&shown))?;
        }
        Ok(Exit::Done)
    }

    fn in_words(&self, shown: &Shown, out: &mut dyn Write) -> Result<(), Problem> {
        let at = &shown.standing;
        writeln!(out, "{} #{} is in `{}`", printable(&at.flow), at.id, printable(&at.state))?;
        let mut say = |what: &str, text: String| {
            if text.is_empty() { Ok(()) } else { writeln!(out, "  {what:<9} {text}") }
        };
        say("since", time(Some(at.updated_at)))?;
        say("created", time(Some(at.created_at)))?;
        say("key", at.key.as_deref().map(printable).unwrap_or_default())?;
        say("tries", at.attempts.to_string())?;
        say("due", time(at.due_at))?;
        say("timed", time(at.deadline_at))?;
        if let Some(holder) = &at.leased_by {
            say("claimed", format!("by {} until {}", printable(holder), time(at.leased_until)))?;
        }
        say("completed", time(at.completed_at))?;
        say("error", at.error.as_deref().map(printable).unwrap_or_default())?;
        for (name, value) in &shown.labels {
            say("label", format!("{} = {}", printable(name), printable(value)))?;
        }
        if let Some(stuck) = at.stuck {
            say("stuck", format!("{}: {}", stuck.as_str(), stuck.remedy()))?;
        }
        say("may go to", ways(shown))?;
        say("props", format!("{}{}", shown.props, version(shown.props_version)))?;
        writeln!(out, "{}", history(shown))?;
        for artefact in &shown.artefacts {
            let name = printable(&artefact.name) + &version(artefact.version);
            if self.artefacts {
                writeln!(out, "artefact {name}, of {}: {}", artefact.seq, artefact.payload)?;
            } else {
                writeln!(out, "artefact {name}, of {}: see it with --artefacts", artefact.seq)?;
            }
        }
        Ok(())
    }
}

/// Of what is stored, unless it is the first.
fn version(number: i64) -> String {
    if number == 1 { String::new() } else { format!(" (version {number})") }
}

/// What may come next, by the graph.
fn ways(shown: &Shown) -> String {
    let Some(graph) = &shown.graph else { return String::new() };
    let ways = graph.leaving(&shown.standing.state).map(|edge| {
        let by = if edge.operator { ", by `flowstate take`" } else { "" };
        format!("`{}` ({}{by})", printable(&edge.to), printable(&edge.name))
    });
    ways.collect::<Vec<_>>().join(", ")
}

fn history(shown: &Shown) -> comfy_table::Table {
    let mut table = table(&["seq", "at", "transition", "to", "try", "actor", "error", "why"]);
    for row in &shown.history {
        let reason = row.metadata.as_ref().and_then(|metadata| metadata.get("reason")?.as_str());
        table.add_row([
            row.seq.to_string(),
            time(Some(row.created_at)),
            printable(&row.transition),
            printable(&row.to),
            row.attempt.to_string(),
            row.actor.as_deref().map(line).unwrap_or_default(),
            row.error.as_deref().map(line).unwrap_or_default(),
            reason.map(line).unwrap_or_default(),
        ]);
    }
    table
}

/// All flows, or one.
#[derive(Clone, Debug, Args)]
pub struct OfFlow {
    /// Only this flow
    #[arg(long)]
    flow: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// `flowstate failures`
#[derive(Clone, Debug, Args)]
pub struct Failures {
    #[command(flatten)]
    of: OfFlow,
}

impl Failures {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        let groups = failures(self.of.flow.as_deref(), conn)?;
        let ids = std::iter::empty();
        self.of.format.print(out, &groups, ids, || {
            let mut table = table(&["records", "flow", "state", "error"]);
            for group in &groups {
                table.add_row([
                    group.records.to_string(),
                    printable(&group.flow),
                    printable(&group.state),
                    line(&group.example),
                ]);
            }
            table
        })?;
        Ok(Exit::Done)
    }
}

impl OfFlow {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        let all = numbers(self.flow.as_deref(), i64::MAX, conn)?;
        let now = registry(conn)?.now;
        self.format.print(out, &all, std::iter::empty(), || {
            let mut table = table(&["flow", "state", "records", "stuck", "oldest due"]);
            for one in &all {
                let due = one.oldest_due_at.map(|due| now - due);
                let more = if one.is_capped { "+" } else { "" };
                table.add_row([
                    printable(&one.flow),
                    printable(&one.state),
                    format!("{}{more}", one.records),
                    one.stuck.to_string(),
                    due.filter(|due| due.num_seconds() > 0).map(age).unwrap_or_default(),
                ]);
            }
            table
        })?;
        Ok(Exit::Done)
    }
}

/// `flowstate graph`
#[derive(Clone, Debug, Args)]
pub struct GraphOf {
    /// The stored name of the flow
    flow: String,
    /// In which language
    #[arg(long, value_enum, default_value_t = Language::Mermaid)]
    format: Language,
}

/// Languages of diagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Mermaid
    Mermaid,
    /// DOT, for Graphviz
    Dot,
}

impl GraphOf {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        let known = registry(conn)?;
        let Some(graph) = known.graph(&self.flow) else {
            return Err(Problem::Usage(format!(
                "no program has registered a flow `{}`: `flowstate definitions` lists those that \
                 are",
                self.flow
            )));
        };
        let text = match self.format {
            Language::Mermaid => diagram::mermaid(graph),
            Language::Dot => diagram::dot(graph),
        };
        write!(out, "{text}")?;
        Ok(Exit::Done)
    }
}

pub(super) fn workers<C: Store>(
    format: Format,
    conn: &mut C,
    out: &mut dyn Write,
) -> Result<Exit, Problem> {
    let known = registry(conn)?;
    let ids = known.workers.iter().map(|worker| worker.id.clone());
    format.print(out, &known.workers, ids, || {
        let headings = ["worker", "program", "host", "pid", "seen", "threads", "claims", "serves"];
        let mut table = table(&headings);
        for worker in &known.workers {
            let seen = age(known.now - worker.seen_at);
            let flows: Vec<_> = worker.serves.keys().map(|flow| printable(flow)).collect();
            table.add_row([
                printable(&worker.id),
                printable(format!("{} {}", worker.program, worker.version).trim()),
                printable(&worker.host),
                worker.pid.to_string(),
                if worker.is_alive { format!("{seen} ago") } else { format!("gone, {seen} ago") },
                worker.threads.to_string(),
                worker.running.to_string(),
                flows.join(", "),
            ]);
        }
        table
    })?;
    Ok(Exit::Done)
}

pub(super) fn definitions<C: Store>(
    format: Format,
    conn: &mut C,
    out: &mut dyn Write,
) -> Result<Exit, Problem> {
    let known = registry(conn)?;
    let ids = known.definitions.iter().map(|known| known.hash.clone());
    format.print(out, &known.definitions, ids, || {
        let headings =
            ["flow", "version", "program", "states", "transitions", "first", "last seen"];
        let mut table = table(&headings);
        for one in &known.definitions {
            table.add_row([
                printable(&one.flow),
                one.hash.chars().take(8).collect(),
                printable(&one.program),
                one.graph.states.len().to_string(),
                one.graph.transitions.len().to_string(),
                time(Some(one.first_seen_at)),
                time(Some(one.last_seen_at)),
            ]);
        }
        table
    })?;
    Ok(Exit::Done)
}

fn cursor(text: &str) -> Result<Cursor, String> {
    Cursor::parse(text).ok_or_else(|| "take it from the end of another list".to_owned())
}
