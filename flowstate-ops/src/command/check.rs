//! `flowstate check`: whether a version of a program can go on with the records that are there.

use std::collections::BTreeSet;
use std::io::Write;

use clap::{Args, ValueEnum};
use flowstate::lock::LockFile;
use flowstate_diesel::Store;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::output::{Format, printable, table};
use super::problem::{Exit, Problem};
use super::settle;
use crate::operator::{self, Checked, Flows, Found, Graph, Registry, numbers, registry};

/// So many findings a table shows.
const SHOWN: usize = 100;

/// `flowstate check`
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// Only this flow
    #[arg(long)]
    flow: Option<String>,
    /// Pass over findings of this kind; may be given several times
    #[arg(long, value_enum)]
    ignore: Vec<Kind>,
    /// Ask of an earlier version: the hash of its graph, or how that begins, as in `flowstate
    /// definitions`
    #[arg(long, value_name = "HASH", conflicts_with = "settle")]
    rollback_to: Option<String>,
    /// Let the lock file say what every record of a state has that has not ended
    #[arg(long)]
    settle: bool,
    /// Only say what would be written into the lock file
    #[arg(long, requires = "settle")]
    dry_run: bool,
    /// The lock file, where the program does not know it
    #[arg(long, value_name = "FILE", requires = "settle")]
    lock: Option<std::path::PathBuf>,
    #[command(flatten)]
    format: Format,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Records in a state that the version does not know
    UnknownState,
    /// Records from whose state no end can be reached
    NoWayOut,
    /// Records that are due in a state which has become an end
    NotEnded,
    /// Claims in a state in which no step of the version runs
    NoStep,
    /// Props and artefacts of newer versions than the version reads
    Newer,
    /// Records that lack what the lock file says
    Lacking,
    /// Values that their type cannot read
    Unreadable,
    /// Transitions in a history that the version does not know
    UnknownTransition,
    /// Artefacts that the version does not know
    UnknownArtefact,
}

impl Kind {
    fn is_of(self, found: &Found) -> bool {
        matches!(
            (self, found),
            (Self::UnknownState, Found::UnknownState { .. })
                | (Self::NoWayOut, Found::NoWayOut { .. })
                | (Self::NotEnded, Found::NotEnded { .. })
                | (Self::NoStep, Found::NoStep { .. })
                | (Self::Newer, Found::Newer { .. })
                | (Self::Lacking, Found::Lacking { .. })
                | (Self::Unreadable, Found::Unreadable { .. })
                | (Self::UnknownTransition, Found::UnknownTransition { .. })
                | (Self::UnknownArtefact, Found::UnknownArtefact { .. })
        )
    }
}

/// The flows of the program that the command is a part of.
pub(super) struct Known {
    /// Their graphs.
    pub(super) graphs: Vec<Graph>,
    /// Their lock files, of those that have one, each with the name of its flow.
    locks: Vec<(&'static str, LockFile)>,
}

impl Known {
    pub(super) fn of<F: Flows>() -> Self {
        let definitions = F::definitions();
        let names = definitions.iter().map(|definition| definition.name);
        Self {
            locks: names.zip(F::locks()).filter_map(|(name, lock)| Some((name, lock?))).collect(),
            graphs: definitions.into_iter().map(Graph::from).collect(),
        }
    }
}

/// What was found, and what could not be looked for.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    checked: &'a Checked,
    /// Flows with records of which no program has left its graph.
    unchecked: &'a [String],
}

impl Check {
    /// Against the graphs that programs have left.
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        let known = registry(conn)?;
        let graphs = match &self.rollback_to {
            Some(hash) => vec![version(&known, hash)?],
            None => self.newest(&known)?,
        };
        let is_wanted = |flow: &String| self.flow.as_ref().is_none_or(|wanted| wanted == flow);
        let mut unchecked: BTreeSet<String> = BTreeSet::new();
        if self.rollback_to.is_none() {
            let flows = numbers(self.flow.as_deref(), 1, conn)?.into_iter().map(|one| one.flow);
            unchecked.extend(flows.filter(|flow| known.graph(flow).is_none() && is_wanted(flow)));
        }
        let bar = bar();
        let check = operator::Check::against(graphs.clone(), conn);
        let checked = check.progress(|done, of| show(&bar, done, of)).run();
        bar.finish_and_clear();
        let unchecked: Vec<_> = unchecked.into_iter().collect();
        self.tell(checked?, &unchecked, &graphs, &[], out)
    }

    /// Against the flows of this program, whose types read every value.
    pub(super) fn run_for<F: Flows, C: Store>(
        &self,
        conn: &mut C,
        out: &mut dyn Write,
    ) -> Result<Exit, Problem> {
        if self.rollback_to.is_some() {
            return self.run(conn, out);
        }
        let Known { mut graphs, mut locks } = Known::of::<F>();
        if let Some(flow) = &self.flow {
            graphs.retain(|graph| graph.flow == *flow);
            locks.retain(|(of, _)| of == flow);
            if graphs.is_empty() {
                return Err(Problem::Usage(format!("this program has no flow `{flow}`")));
            }
        }
        let bar = bar();
        let check = flowstate_diesel::check::<F>(conn).decode();
        let check = match &self.flow {
            Some(flow) => check.only(flow),
            None => check,
        };
        let checked = check.progress(|done, of| show(&bar, done, of)).run();
        bar.finish_and_clear();
        self.tell(checked?, &[], &graphs, &locks, out)
    }

    /// Of each flow the graph that was left last.
    fn newest(&self, known: &Registry) -> Result<Vec<Graph>, Problem> {
        let mut flows: Vec<_> = known.definitions.iter().map(|known| &known.flow).collect();
        flows.dedup();
        flows.retain(|flow| self.flow.as_ref().is_none_or(|wanted| wanted == *flow));
        if let (Some(flow), true) = (&self.flow, flows.is_empty()) {
            return Err(Problem::Usage(format!(
                "no program has registered a flow `{flow}`: `flowstate definitions` lists those \
                 that are"
            )));
        }
        Ok(flows.into_iter().filter_map(|flow| known.graph(flow).cloned()).collect())
    }

    fn tell(
        &self,
        mut checked: Checked,
        unchecked: &[String],
        graphs: &[Graph],
        locks: &[(&str, LockFile)],
        out: &mut dyn Write,
    ) -> Result<Exit, Problem> {
        checked.findings.retain(|found| !self.ignore.iter().any(|kind| kind.is_of(found)));
        if self.ignore.contains(&Kind::Unreadable) {
            checked.unreadable = 0;
        }
        if self.ignore.contains(&Kind::Newer) {
            checked.newer = 0;
        }
        let ids = checked.findings.iter().filter_map(|found| match found {
            Found::Unreadable { id, .. } => Some(id.to_string()),
            _ => None,
        });
        let ids: Vec<_> = ids.collect();
        let answer = Answer { checked: &checked, unchecked };
        if self.format.is_table() {
            self.in_words(&checked, unchecked, out)?;
        } else {
            self.format.print(out, &answer, ids, || table(&[]))?;
        }
        if self.settle {
            let mut nobody = std::io::sink();
            let out = if self.format.is_table() { out } else { &mut nobody };
            settle::settle(self.lock.as_deref(), !self.dry_run, locks, graphs, &checked, out)?;
        }
        Ok(if checked.is_clean() { Exit::Done } else { Exit::Found })
    }

    fn in_words(
        &self,
        checked: &Checked,
        unchecked: &[String],
        out: &mut dyn Write,
    ) -> Result<(), Problem> {
        for found in checked.findings.iter().take(SHOWN) {
            writeln!(out, "{}", printable(&found.to_string()))?;
        }
        let unreadable = checked.findings.iter().filter(|found| Kind::Unreadable.is_of(found));
        let told = u64::try_from(unreadable.count()).unwrap_or(u64::MAX);
        let hidden = u64::try_from(checked.findings.len().saturating_sub(SHOWN)).unwrap_or(0);
        let more = hidden + checked.unreadable.saturating_sub(told);
        if more > 0 {
            writeln!(out, "and {more} more")?;
        }
        if self.rollback_to.is_some() {
            writeln!(out, "{}", rolled_back(checked))?;
            match checked.newer {
                0 => {}
                1 => writeln!(out, "1 record has payloads newer than that version reads")?,
                many => {
                    writeln!(out, "{many} records have payloads newer than that version reads")?;
                }
            }
        }
        for alias in &checked.aliases {
            writeln!(out, "{}", printable(&alias.to_string()))?;
        }
        for flow in unchecked {
            let flow = printable(flow);
            writeln!(out, "{flow}: not checked, since no program has left its graph")?;
        }
        let (records, findings) = (checked.records, checked.findings.len() as u64);
        let findings = findings + checked.unreadable.saturating_sub(told);
        writeln!(out, "records that have not ended: {records}; findings: {findings}")?;
        Ok(())
    }
}

/// How many records an earlier version would leave alone.
fn rolled_back(checked: &Checked) -> String {
    let states = checked.findings.iter().filter_map(|found| match found {
        Found::UnknownState { state, records, .. } => Some((state, *records)),
        _ => None,
    });
    let states: Vec<_> = states.collect();
    let records: i64 = states.iter().map(|(_, records)| records).sum();
    let named = states.iter().map(|(state, records)| format!("{} {records}", printable(state)));
    let named: Vec<_> = named.collect();
    match records {
        0 => "every record is in a state that version knows".to_owned(),
        1 => format!("1 record is in a state that version does not know: {}", named.join(", ")),
        many => {
            format!("{many} records are in states that version does not know: {}", named.join(", "))
        }
    }
}

/// The graph that is meant.
fn version(known: &Registry, hash: &str) -> Result<Graph, Problem> {
    let mut found = known.definitions.iter().filter(|one| one.hash.starts_with(hash));
    match (found.next(), found.next()) {
        // one that is empty, such as a variable that is not set, names none
        (Some(one), None) if !hash.is_empty() => Ok(one.graph.clone()),
        (None, _) => Err(Problem::Usage(format!(
            "no program has left a graph `{hash}`: `flowstate definitions` lists those that are"
        ))),
        (Some(_), _) => Err(Problem::Usage(format!(
            "several graphs may begin with `{hash}`: write more of it, see `flowstate definitions -o \
             ids`"
        ))),
    }
}

/// Shown on a terminal only.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} records, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, done: u64, of: u64) {
    bar.set_length(of);
    bar.set_position(done);
}
