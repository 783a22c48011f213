//! Which records are meant: by ids, or by what they have in common.

use std::io::{IsTerminal as _, Read as _};
use std::time::Duration;

use clap::Args;
use flowstate_diesel::Store;

use super::problem::Problem;
use crate::operator::{Filter, Standing, Stuck, list};

/// How many records are read at once.
const PAGE: usize = 1_000;

/// Gives every record that is found, page by page.
pub(super) fn each<C: Store>(
    filter: &Filter,
    conn: &mut C,
    mut given: impl FnMut(Standing),
) -> Result<(), Problem> {
    let mut after = None;
    loop {
        let page = list(filter, after.as_ref(), PAGE, conn)?;
        page.records.into_iter().for_each(&mut given);
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// What records have in common.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Only of this flow
    #[arg(long)]
    pub flow: Option<String>,
    /// Only in this state; may be given several times
    #[arg(long = "state")]
    pub states: Vec<String>,
    /// Only the one with this idempotency key
    #[arg(long)]
    pub key: Option<String>,
    /// Only with this label, as `name=value`; needs `--flow`
    #[arg(long, value_parser = label)]
    pub label: Option<(String, String)>,
    /// Only whose newest transition failed with an error that contains this text
    #[arg(long)]
    pub error: Option<String>,
    /// Only whose newest transition failed with an error of this kind: one that `flowstate failures`
    /// shows, its numbers written as `#`
    #[arg(long)]
    pub error_kind: Option<String>,
    /// Only those in their state for so long: `90s`, `15m`, `12h`, `3d`, `2w`
    #[arg(long, value_parser = duration)]
    pub older_than: Option<Duration>,
    /// Only what nothing will move by itself
    #[arg(long)]
    pub stuck: bool,
    /// Only what is stuck for this reason
    #[arg(long, value_parser = because)]
    pub stuck_because: Option<Stuck>,
}

impl Selection {
    /// As a filter.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter {
            ids: Vec::new(),
            flow: self.flow.clone(),
            states: self.states.clone(),
            key: self.key.clone(),
            label: self.label.clone(),
            error: self.error.clone(),
            error_kind: self.error_kind.clone(),
            in_state_for: self.older_than,
            stuck: self.stuck,
            stuck_because: self.stuck_because,
        }
    }

    fn is_given(&self) -> bool {
        self.filter() != Filter::default()
    }
}

/// The records that a command changes.
#[derive(Clone, Debug, Default, Args)]
pub struct Targets {
    /// The ids of records; `-` reads them from standard input
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    selection: Selection,
}

impl Targets {
    /// These records.
    #[must_use]
    pub fn of(ids: &[i64]) -> Self {
        let ids = ids.iter().map(ToString::to_string).collect();
        Self { ids, selection: Selection::default() }
    }

    /// As a filter, and whether the records are named one by one.
    pub(super) fn filter(&self) -> Result<(Filter, bool), Problem> {
        match (self.ids.as_slice(), self.selection.is_given()) {
            ([], false) => Err(Problem::Usage(
                "say which records: by their ids, or by `--flow`, `--state`, `--stuck` and the like"
                    .to_owned(),
            )),
            ([], true) => Ok((self.selection.filter(), false)),
            (_, true) => Err(Problem::Usage(
                "name the records by their ids or by what they have in common, not both".to_owned(),
            )),
            (ids, false) => Ok((Filter { ids: read(ids)?, ..Filter::default() }, true)),
        }
    }
}

fn read(ids: &[String]) -> Result<Vec<i64>, Problem> {
    let mut all = Vec::new();
    for id in ids {
        if id == "-" {
            let mut text = String::new();
            if std::io::stdin().is_terminal() {
                return Err(Problem::Usage("`-` reads ids from a pipe; there is none".to_owned()));
            }
            std::io::stdin().read_to_string(&mut text)?;
            for word in text.split_whitespace() {
                all.push(id_of(word)?);
            }
        } else {
            all.push(id_of(id)?);
        }
    }
    if all.is_empty() {
        return Err(Problem::Usage("standard input holds no ids".to_owned()));
    }
    Ok(all)
}

fn id_of(text: &str) -> Result<i64, Problem> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits.parse().map_err(|_| Problem::Usage(format!("`{text}` is no id of a record")))
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as `name=value`")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads `90s`, `15m`, `12h`, `3d`, `2w`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write `90s`, `15m`, `12h`, `3d` or `2w`");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        Some('w') => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

fn because(text: &str) -> Result<Stuck, String> {
    let all =
        [Stuck::GaveUp, Stuck::LeaseOver, Stuck::Unserved, Stuck::UnknownState, Stuck::Unreadable];
    let written = |stuck: &Stuck| stuck.as_str().replace(' ', "-");
    all.into_iter()
        .find(|stuck| written(stuck) == text)
        .ok_or_else(|| format!("there are {}", all.map(|stuck| written(&stuck)).join(", ")))
}
