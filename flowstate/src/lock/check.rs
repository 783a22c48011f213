//! The test that keeps a lock file current: the only place of this crate that touches files.

use std::{env, fs};

use super::of_flow::of;
use crate::Flow;

/// Fails if the lock file of a flow is not current: call it in a test. With `FLOWSTATE_LOCK=write` in
/// the environment it writes the file; the next build holds the flow against that.
///
/// # Panics
/// If the file is not current, with the lines that differ; if the flow has none; if it cannot be
/// written.
pub fn check<F: Flow>() {
    let problem = is_current::<F>().err();
    assert!(problem.is_none(), "{}", problem.unwrap_or_default());
}

fn is_current<F: Flow>() -> Result<(), String> {
    let Some(file) = F::LOCK else {
        return Err(format!(
            "the flow `{}` has no lock file: write `#[flow(lock)]` above its struct",
            F::NAME
        ));
    };
    let text = of::<F>().to_string();
    // the file may be newer than this program
    let found = fs::read_to_string(file.path).unwrap_or_else(|_| file.text.to_owned());
    if found == text {
        return Ok(());
    }
    if env::var_os("FLOWSTATE_LOCK").is_some_and(|wish| wish == "write") {
        let written = fs::write(file.path, text);
        return written.map_err(|error| format!("`{}` cannot be written: {error}", file.path));
    }
    Err(format!(
        "`{}` is not current: run this test with `FLOWSTATE_LOCK=write`, and read what changes\n{}",
        file.path,
        differences(&found, &text)
    ))
}

/// The lines that only one text has.
fn differences(before: &str, now: &str) -> String {
    let only = |text: &str, other: &str, sign: &str| -> String {
        let lines = text.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.flat_map(|line| [sign, " ", line, "\n"]).collect()
    };
    only(before, now, "-") + &only(now, before, "+")
}
