//! Figures: a table for people, JSON for machines.

use std::fmt;
use std::path::Path;

use comfy_table::{Table, presets};
use serde::Serialize;

/// The median of several rounds, with the extremes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self {
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            min: at(0),
            max: at(last),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median.abs() < 100.0 { 2 } else { 0 };
        let Self { median, min, max } = *self;
        write!(f, "{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// One line: what was measured against what.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) scenario: String,
    pub(crate) database: String,
    pub(crate) threads: usize,
    pub(crate) unit: &'static str,
    pub(crate) floor: Spread,
    pub(crate) measured: Spread,
    pub(crate) ratio: Spread,
    pub(crate) target: Target,
    pub(crate) note: String,
}

impl Figure {
    /// From rounds of floor and measured.
    pub(crate) fn new(
        scenario: impl Into<String>,
        database: impl Into<String>,
        unit: &'static str,
        pairs: &[[f64; 2]],
    ) -> Self {
        Self {
            scenario: scenario.into(),
            database: database.into(),
            threads: 1,
            unit,
            floor: Spread::of(pairs.iter().map(|pair| pair[0])),
            measured: Spread::of(pairs.iter().map(|pair| pair[1])),
            ratio: Spread::of(pairs.iter().map(|pair| pair[1] / pair[0])),
            target: Target::None,
            note: String::new(),
        }
    }

    pub(crate) fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    pub(crate) fn target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    fn verdict(&self) -> String {
        let (sign, wanted, reached) = match self.target {
            Target::AtLeast(wanted) => ("≥", wanted, self.ratio.median >= wanted),
            Target::AtMost(wanted) => ("≤", wanted, self.ratio.median <= wanted),
            Target::None => return String::new(),
        };
        format!("{sign} {wanted:.2} {}", if reached { "yes" } else { "NO" })
    }
}

/// All figures, printed as they come.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Figure>);

impl Report {
    pub(crate) fn add(&mut self, figure: Figure) {
        eprintln!(
            "{} · {} · {} threads: {} of {} {}, ratio {} {} {}",
            figure.scenario,
            figure.database,
            figure.threads,
            figure.measured,
            figure.floor,
            figure.unit,
            figure.ratio,
            figure.verdict(),
            figure.note,
        );
        self.0.push(figure);
    }

    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(&self.0).map_err(std::io::Error::other)?;
        std::fs::write(path, text + "\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "scenario", "database", "threads", "unit", "floor", "measured", "ratio", "target", "",
        ]);
        for figure in &self.0 {
            table.add_row([
                figure.scenario.clone(),
                figure.database.clone(),
                figure.threads.to_string(),
                figure.unit.to_owned(),
                figure.floor.to_string(),
                figure.measured.to_string(),
                figure.ratio.to_string(),
                figure.verdict(),
                figure.note.clone(),
            ]);
        }
        table.fmt(f)
    }
}
