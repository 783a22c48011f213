//! Tables for people, JSON and ids for programs.

use std::fmt::Display;
use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::problem::Problem;

/// How something is printed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Format {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Kind::Table)]
    output: Kind,
}

/// The kinds of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A table, for people
    Table,
    /// JSON, for programs
    Json,
    /// An id a line, for `-` of another command
    Ids,
}

impl Format {
    /// Prints `what` in the way that was asked for.
    pub(super) fn print<T: Serialize + ?Sized, D: Display>(
        self,
        out: &mut dyn Write,
        what: &T,
        ids: impl IntoIterator<Item = String>,
        table: impl FnOnce() -> D,
    ) -> Result<(), Problem> {
        match self.output {
            Kind::Table => writeln!(out, "{}", table())?,
            Kind::Json => writeln!(out, "{}", serde_json::to_string_pretty(what)?)?,
            Kind::Ids => ids.into_iter().try_for_each(|id| writeln!(out, "{id}"))?,
        }
        Ok(())
    }

    pub(super) fn is_table(self) -> bool {
        self.output == Kind::Table
    }

    pub(super) fn is_ids(self) -> bool {
        self.output == Kind::Ids
    }
}

/// A table with these headings.
pub(super) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().copied());
    table
}

/// A time, and nothing for none.
pub(super) fn time(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

/// How long ago, in its largest unit: `3d`, `17m`.
#[must_use]
pub(crate) fn age(age: TimeDelta) -> String {
    let seconds = age.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The first line of a text, not longer than fits into a table.
pub(super) fn line(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let mut line: String = first.chars().take(100).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    printable(&line)
}

/// A text without what would move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    let plain = |sign: char| if sign.is_control() && sign != '\n' { '\u{fffd}' } else { sign };
    text.chars().map(plain).collect()
}
