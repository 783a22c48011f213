//! The test that keeps a lock file current.

use std::fs;

use super::of_flow::of;
use super::samples;
use crate::Flow;

/// Fails if the lock file of a flow is not current: call it in a test. With `FLOWSTATE_LOCK=write` in
/// the environment it writes the file; the next build holds the flow against that.
///
/// Beside the file are samples of props and artefacts as they are stored, `order.v1.json` and
/// `order.receipt.v1.json` for `order.flow`: each is read as its version. The props and each artefact
/// must have one of each version, also where they have no fields; see [`sample`](super::sample).
///
/// # Panics
/// If the file is not current, with the lines that differ; if the flow has none; if it cannot be
/// written; if a sample is missing or cannot be read.
pub fn check<F: Flow>() {
    let problem = current::<F>().err();
    assert!(problem.is_none(), "{}", problem.unwrap_or_default());
}

fn current<F: Flow>() -> Result<(), String> {
    let Some(file) = F::LOCK else {
        return Err(format!(
            "the flow `{}` has no lock file: write `#[flow(lock)]` above its struct",
            F::NAME
        ));
    };
    let text = of::<F>().to_string();
    // the file may be newer than this program
    let found = fs::read_to_string(file.path).unwrap_or_else(|_| file.text.to_owned());
    let mut problems = samples::problems::<F>(file.path);
    // git may have given lines the ends that they have on this system
    let is_current = found.lines().eq(text.lines());
    if !is_current && samples::is_written() {
        let written = fs::write(file.path, text);
        let problem = written.err();
        problems.extend(problem.map(|error| format!("`{}` cannot be written: {error}", file.path)));
    } else if !is_current {
        problems.push(format!(
            "`{}` is not current: run this test with `FLOWSTATE_LOCK=write`, and read what changes\n{}",
            file.path,
            differences(&found, &text)
        ));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// The lines that only one text has.
fn differences(before: &str, now: &str) -> String {
    let only = |text: &str, other: &str, sign: &str| -> String {
        let lines = text.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.flat_map(|line| [sign, " ", line, "\n"]).collect()
    };
    only(before, now, "-") + &only(now, before, "+")
}
