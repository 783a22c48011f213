//! Commands that move records: each says who wished it and why, and first what it would do.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};

use clap::Args;
use flowstate_diesel::Store;
use indicatif::ProgressBar;
use serde_json::json;

use super::output::{Format, printable, table};
use super::problem::{Exit, Problem, exit_of, in_one_line};
use super::select::{Targets, each};
use super::why::Why;
use crate::operator::{
    Action, Error, Filter, Graph, Moved, Plan, Planned, Refusal, act, list, plan, plan_after,
};

/// How many moves a plan shows.
const SHOWN: usize = 20;

/// Which records are changed, by whom, and why.
#[derive(Clone, Debug, Args)]
pub struct Change {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    why: Why,
    /// Do not ask before many records are changed
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    format: Format,
}

/// `flowstate retry`
#[derive(Clone, Debug, Args)]
pub struct Retry {
    #[command(flatten)]
    change: Change,
}

/// `flowstate take`
#[derive(Clone, Debug, Args)]
pub struct Take {
    /// The stored name of the transition
    transition: String,
    #[command(flatten)]
    change: Change,
}

/// `flowstate force`
#[derive(Clone, Debug, Args)]
pub struct Force {
    /// The stored name of the state
    state: String,
    #[command(flatten)]
    change: Change,
}

/// `flowstate release`
#[derive(Clone, Debug, Args)]
pub struct Release {
    /// A holder that is known to be gone, though its lease has not run out
    #[arg(long)]
    gone: Option<String>,
    #[command(flatten)]
    change: Change,
}

impl Retry {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        self.change.run(Action::Retry, conn, out)
    }
}

impl Take {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        self.change.run(Action::Take { transition: self.transition.clone() }, conn, out)
    }
}

impl Force {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        self.change.run(Action::Force { state: self.state.clone() }, conn, out)
    }
}

impl Force {
    /// Into a state that this program knows, where the flow is one of its own.
    pub(super) fn run_for<C: Store>(
        &self,
        known: &[Graph],
        conn: &mut C,
        out: &mut dyn Write,
    ) -> Result<Exit, Problem> {
        // once: standard input cannot be read again
        let (filter, are_named) = self.change.targets.filter()?;
        for (flow, id) in flows(&filter, conn)? {
            let Some(graph) = known.iter().find(|graph| graph.flow == flow) else { continue };
            if graph.states.iter().all(|state| state.name != self.state) {
                let known = graph.states.iter().map(|state| state.name.clone()).collect();
                let refusal = Refusal::ForeignState { state: self.state.clone(), known };
                return Err(Error::Refused { flow, id, refusal }.into());
            }
        }
        let action = Action::Force { state: self.state.clone() };
        self.change.run_on(&filter, are_named, action, conn, out)
    }
}

impl Release {
    pub(super) fn run<C: Store>(&self, conn: &mut C, out: &mut dyn Write) -> Result<Exit, Problem> {
        self.change.run(Action::Release { gone: self.gone.clone() }, conn, out)
    }
}

impl Change {
    fn run<C: Store>(
        &self,
        action: Action,
        conn: &mut C,
        out: &mut dyn Write,
    ) -> Result<Exit, Problem> {
        let (filter, are_named) = self.targets.filter()?;
        self.run_on(&filter, are_named, action, conn, out)
    }

    fn run_on<C: Store>(
        &self,
        filter: &Filter,
        are_named: bool,
        action: Action,
        conn: &mut C,
        out: &mut dyn Write,
    ) -> Result<Exit, Problem> {
        if are_named && !self.why.dry_run {
            return self.each(&action, &filter.ids, conn, out);
        }
        let planned = plan_all(filter, action, conn)?;
        if self.why.dry_run {
            let missing = missing(&filter.ids, conn)?;
            self.say_plan(&planned, out)?;
            return Ok(match missing {
                Some(id) => {
                    writeln!(out, "{}", Error::NotFound { id })?;
                    Exit::NotFound
                }
                None if planned.refused > 0 => Exit::Refused,
                None => Exit::Done,
            });
        }
        if planned.moves.is_empty() {
            self.say_plan(&planned, out)?;
            return Ok(if planned.refused > 0 { Exit::Refused } else { Exit::Done });
        }
        if !self.yes && !confirmed(&planned)? {
            self.say_plan(&planned, out)?;
            return Err(Problem::Usage(format!(
                "nothing was done: say `--yes` to {} these {} records, or `--dry-run` to only look",
                planned.action.verb(),
                planned.moves.len()
            )));
        }
        let bar = bar(planned.moves.len());
        let report = planned.run(&self.why.wish()?, conn, |done| {
            bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        })?;
        bar.finish_and_clear();
        self.say(&report.moved, &report.refused, out)
    }

    /// Record by record: each that is not done says why.
    fn each<C: Store>(
        &self,
        action: &Action,
        ids: &[i64],
        conn: &mut C,
        out: &mut dyn Write,
    ) -> Result<Exit, Problem> {
        let (wish, bar) = (self.why.wish()?, bar(ids.len()));
        let (mut moved, mut refused) = (Vec::new(), Vec::new());
        for &id in ids {
            match act(action, id, &wish, conn) {
                Ok(done) => moved.push(done),
                Err(error @ (Error::NotFound { .. } | Error::Refused { .. })) => {
                    refused.push(error);
                }
                Err(failed) => {
                    // what is done stays done, and is said
                    bar.finish_and_clear();
                    self.say(&moved, &refused, out)?;
                    return Err(failed.into());
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.say(&moved, &refused, out)
    }

    fn say_plan(&self, planned: &Plan, out: &mut dyn Write) -> Result<(), Problem> {
        let ids = planned.moves.iter().map(|one| one.target.id.to_string());
        self.format.print(out, planned, ids, || {
            let mut table = table(&["id", "flow", "from", "to"]);
            for Planned { flow, target, from, to, destroys, .. } in planned.moves.iter().take(SHOWN)
            {
                let to = if *destroys { format!("{to}, and deleted") } else { to.clone() };
                let [flow, from, to] = [flow, from, &to].map(|text| printable(text));
                table.add_row([target.id.to_string(), flow, from, to]);
            }
            table
        })?;
        if self.format.is_table() {
            let (verb, would) = (planned.action.verb(), planned.moves.len());
            writeln!(out, "would {verb} {would} records, and refuse {}", planned.refused)?;
            if let Some(first) = &planned.first_refusal {
                writeln!(out, "refused, for example: {}", printable(first))?;
            }
        }
        Ok(())
    }

    fn say(
        &self,
        moved: &[Moved],
        refused: &[Error],
        out: &mut dyn Write,
    ) -> Result<Exit, Problem> {
        let texts: Vec<_> = refused.iter().map(|error| in_one_line(error)).collect();
        let answer = json!({ "moved": moved, "refused": texts });
        let ids = moved.iter().map(|one| one.id.to_string());
        self.format.print(out, &answer, ids, || {
            let mut table = table(&["id", "flow", "from", "to", "skipped"]);
            for one in moved.iter().take(SHOWN) {
                let to =
                    if one.destroyed { format!("{}, and deleted", one.to) } else { one.to.clone() };
                let skipped =
                    one.skipped.as_ref().map(|names| names.join(", ")).unwrap_or_default();
                let [flow, from, to, skipped] =
                    [&one.flow, &one.from, &to, &skipped].map(|text| printable(text));
                table.add_row([one.id.to_string(), flow, from, to, skipped]);
            }
            table
        })?;
        if self.format.is_table() {
            writeln!(out, "{} done, {} refused", moved.len(), refused.len())?;
            for text in texts.iter().take(SHOWN) {
                writeln!(out, "{}", printable(text))?;
            }
        }
        let exits = refused.iter().map(exit_of);
        Ok(exits.max_by_key(|exit| *exit == Exit::NotFound).unwrap_or(Exit::Done))
    }
}

/// Plans all of them before the first is moved, however many they are.
fn plan_all<C: Store>(filter: &Filter, action: Action, conn: &mut C) -> Result<Plan, Problem> {
    let mut all = plan(filter, action, conn)?;
    while let Some(after) = all.next.take() {
        let more = plan_after(filter, all.action.clone(), Some(&after), conn)?;
        all.moves.extend(more.moves);
        all.refused += more.refused;
        all.first_refusal = all.first_refusal.or(more.first_refusal);
        all.next = more.next;
    }
    Ok(all)
}

/// The flows of these records, each with one of them.
fn flows<C: Store>(filter: &Filter, conn: &mut C) -> Result<BTreeMap<String, i64>, Problem> {
    let mut flows = BTreeMap::new();
    each(filter, conn, |record| {
        flows.insert(record.flow, record.id);
    })?;
    Ok(flows)
}

/// A record that was named and is not there.
fn missing<C: Store>(ids: &[i64], conn: &mut C) -> Result<Option<i64>, Problem> {
    for &id in ids {
        let one = Filter { ids: vec![id], ..Default::default() };
        if list(&one, None, 1, conn)?.records.is_empty() {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Asks on a terminal.
fn confirmed(planned: &Plan) -> Result<bool, Problem> {
    let (input, mut error) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() || !error.is_terminal() {
        return Ok(false);
    }
    write!(error, "{} {} records? [y/N] ", planned.action.verb(), planned.moves.len())?;
    error.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Shown on a terminal only.
fn bar(length: usize) -> ProgressBar {
    if length < 2 {
        return ProgressBar::hidden();
    }
    ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX))
}
