//! A progress bar.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar is worth its while from so many flows on.
const MANY: usize = 50;

pub(crate) fn bar(flows: usize) -> ProgressBar {
    if flows < MANY || !std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(flows as u64);
    match ProgressStyle::with_template("{bar:40} {pos} of {len} flows, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
