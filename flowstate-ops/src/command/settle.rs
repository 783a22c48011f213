//! `flowstate check --settle`: the lock file says what the records that are there have.

use std::fs;
use std::io::Write;
use std::path::Path;

use flowstate::lock::{Lock, LockFile};

use super::output::printable;
use super::problem::Problem;
use crate::operator::{Checked, Graph};

/// Widens the lines of states in lock files by what was found, and writes the files if `writes`. One
/// that is not on this machine is not written: its lines are said.
pub(super) fn settle(
    file: Option<&Path>,
    writes: bool,
    locks: &[(&str, LockFile)],
    graphs: &[Graph],
    checked: &Checked,
    out: &mut dyn Write,
) -> Result<(), Problem> {
    match file {
        Some(file) => {
            let text = fs::read_to_string(file).map_err(|error| {
                Problem::Usage(format!("`{}` cannot be read: {error}", file.display()))
            })?;
            settle_one(file, &text, true, writes, graphs, checked, out)
        }
        None if locks.is_empty() => Err(Problem::Usage(
            "say which lock file is meant, with `--lock flows/<flow>.flow`".to_owned(),
        )),
        None => locks.iter().try_for_each(|(_, lock)| {
            // the file may be newer than this program, and may be on another machine
            let file = Path::new(lock.path);
            let found = fs::read_to_string(file);
            let text = found.as_deref().unwrap_or(lock.text);
            settle_one(file, text, found.is_ok(), writes, graphs, checked, out)
        }),
    }
}

fn settle_one(
    file: &Path,
    text: &str,
    is_here: bool,
    writes: bool,
    graphs: &[Graph],
    checked: &Checked,
    out: &mut dyn Write,
) -> Result<(), Problem> {
    let shown = printable(&file.display().to_string());
    let mut lock = Lock::parse(text).map_err(|misread| {
        Problem::Usage(format!("`{shown}`, line {}: {}", misread.line, misread.problem))
    })?;
    let Some(graph) = graphs.iter().find(|graph| graph.flow == lock.flow) else {
        let flow = printable(&lock.flow);
        return Err(Problem::Usage(format!(
            "`{shown}` is of the flow `{flow}`, which was not checked"
        )));
    };
    let before = lock.to_string();
    let empty = widen(&mut lock, graph, checked);
    let after = lock.to_string();
    for line in after.lines().filter(|line| !before.lines().any(|known| known == *line)) {
        writeln!(out, "{line}")?;
    }
    for state in empty {
        writeln!(
            out,
            "no record stands in `{}`: nothing was added to its line",
            printable(&state)
        )?;
    }
    if after == before {
        writeln!(out, "`{shown}` says so already")?;
    } else if !writes {
        writeln!(out, "would be written to `{shown}`")?;
    } else if is_here {
        fs::write(file, after)?;
        writeln!(out, "written to `{shown}`")?;
    } else {
        writeln!(
            out,
            "put these lines in place of theirs into `{shown}`, which is not on this machine"
        )?;
    }
    Ok(())
}

/// Adds to each state what all of its records have. Returns the states that have none. Where records
/// begin, others will come that have nothing.
fn widen(lock: &mut Lock, graph: &Graph, checked: &Checked) -> Vec<String> {
    let mut empty = Vec::new();
    // by the names of now
    let now = |name: &str| graph.artefact(name).map(|known| known.name.clone());
    for (name, state) in lock.states.iter_mut().filter(|(_, state)| !state.is_completed) {
        let named = graph.state(name).map_or(&**name, |known| &*known.name);
        if named == graph.initial {
            continue;
        }
        let found = checked.states.iter().find(|one| one.flow == graph.flow && one.state == named);
        let Some(found) = found else {
            empty.push(name.clone());
            continue;
        };
        let all = lock.artefacts.keys();
        let has = all.filter(|artefact| now(artefact).is_some_and(|now| found.has.contains(&now)));
        state.has.extend(has.cloned());
    }
    empty
}
