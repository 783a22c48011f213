//! What a check has found, and in words what to do about it.

use std::collections::BTreeSet;
use std::fmt;

use flowstate::lock::Kind;
use serde::{Serialize, Serializer};

/// What [`Check::run`](super::Check::run) has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// How many records were looked at: those that have not ended.
    pub records: u64,
    /// What is in the way of the version that was asked about.
    pub findings: Vec<Found>,
    /// How many stored values cannot be read: at most 1,000 of them are among the findings.
    pub unreadable: u64,
    /// How many records have props, or an artefact, of a newer version than is read.
    pub newer: u64,
    /// What the records have that have not ended, by flow and state.
    pub states: Vec<StateHas>,
    /// Former names that this version still reads, and how many rows have each.
    pub aliases: Vec<AliasLeft>,
}

/// Something that is in the way of a version of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Found {
    /// Records in a state that the version does not know: it leaves them alone.
    UnknownState {
        /// The stored name of the flow.
        flow: String,
        /// The stored name of the state.
        state: String,
        /// How many records, those that have ended among them.
        records: i64,
    },
    /// Records from whose state no completed state can be reached.
    NoWayOut {
        /// The stored name of the flow.
        flow: String,
        /// The stored name of the state.
        state: String,
        /// How many records.
        records: i64,
    },
    /// Records that are due in a state which is completed in this version: another one, in which it
    /// was not, has brought them there.
    NotEnded {
        /// The stored name of the flow.
        flow: String,
        /// The stored name of the state.
        state: String,
        /// How many records.
        records: i64,
    },
    /// Records that are claimed in a state in which no step of this version runs: it fails none of them
    /// over when their worker has died.
    NoStep {
        /// The stored name of the flow.
        flow: String,
        /// The stored name of the state.
        state: String,
        /// How many records.
        records: i64,
    },
    /// Records with props, or an artefact, of a newer version than this version of the program reads: it
    /// leaves them alone.
    Newer {
        /// The stored name of the flow.
        flow: String,
        /// The stored name of the artefact; `None` for the props.
        artefact: Option<String>,
        /// The newest version that is read.
        known: u32,
        /// The newest version that is there.
        newest: i64,
        /// How many records that have not ended.
        records: u64,
        /// One of them.
        example: i64,
    },
    /// Records without an artefact that the lock file says all of their state have.
    Lacking {
        /// The stored name of the flow.
        flow: String,
        /// The stored name of the state.
        state: String,
        /// The stored name of the artefact.
        artefact: String,
        /// How many records.
        records: u64,
        /// One of them.
        example: i64,
    },
    /// A value that its type cannot read.
    Unreadable {
        /// The stored name of the flow.
        flow: String,
        /// The record.
        id: i64,
        /// The stored name of the artefact; `None` for the props.
        artefact: Option<String>,
        /// Where in the JSON, such as `lines[2].price`.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// Records that have taken a transition which the version does not know.
    UnknownTransition {
        /// The stored name of the flow.
        flow: String,
        /// The stored name of the transition.
        transition: String,
        /// How many records that have not ended.
        records: u64,
    },
    /// Records with an artefact that the version does not know.
    UnknownArtefact {
        /// The stored name of the flow.
        flow: String,
        /// The stored name of the artefact.
        artefact: String,
        /// How many records that have not ended.
        records: u64,
    },
}

/// The records of one state that have not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StateHas {
    /// The stored name of the flow.
    pub flow: String,
    /// The stored name of the state, by which it is called now.
    pub state: String,
    /// How many records.
    pub records: u64,
    /// The artefacts that all of them have, by the stored names of now.
    pub has: BTreeSet<String>,
}

/// A former name that a version still reads: it may be dropped when no row has it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AliasLeft {
    /// The stored name of the flow.
    pub flow: String,
    /// What it is a name of.
    #[serde(serialize_with = "in_words")]
    pub kind: Kind,
    /// The former name.
    pub name: String,
    /// The stored name of now.
    pub now: String,
    /// How many rows have it: records of a state, stored artefacts, or records that have taken the
    /// transition and have not ended.
    pub records: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn in_words<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(kind)
}

impl Checked {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// How many records, and the verb.
fn records(count: impl Into<i128>, one: &str, many: &str) -> String {
    match count.into() {
        1 => format!("1 record {one}"),
        count => format!("{count} records {many}"),
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownState { flow, state, records: count } => write!(
                f,
                "{flow}: {} in `{state}`, a state that this version does not know: keep it with \
                 `alias`, or run the version that knows it",
                records(*count, "is", "are")
            ),
            Self::NoWayOut { flow, state, records: count } => write!(
                f,
                "{flow}: {} in `{state}`, from which no completed state can be reached: keep a \
                 transition out of it",
                records(*count, "is", "are")
            ),
            Self::NotEnded { flow, state, records: count } => write!(
                f,
                "{flow}: {} due in `{state}`, which is completed in this version and was not in \
                 the one that brought them there: a worker of this version ends them",
                records(*count, "is", "are")
            ),
            Self::NoStep { flow, state, records: count } => write!(
                f,
                "{flow}: {} claimed in `{state}`, in which no step of this version runs: let the \
                 version that claimed them end them, or `flowstate release` them",
                records(*count, "is", "are")
            ),
            Self::Newer { flow, artefact, known, newest, records: count, example } => write!(
                f,
                "{flow}: {} {} newer than this version reads: of version {newest}, where it knows \
                 {known} (#{example}, for one): run the version that wrote it",
                records(*count, "has", "have"),
                match artefact {
                    Some(name) => format!("an artefact `{name}`"),
                    None => "props".to_owned(),
                }
            ),
            Self::Lacking { flow, state, artefact, records: count, example } => write!(
                f,
                "{flow}: {} in `{state}` without `{artefact}` (#{example}, for one), which the \
                 lock file says every record there has: take it out of the line",
                records(*count, "is", "are")
            ),
            Self::Unreadable { flow, id, artefact, path, problem } => {
                let what = artefact.as_ref().map(|name| format!("artefact `{name}`"));
                let what = what.unwrap_or_else(|| "props".to_owned());
                write!(f, "{flow} #{id}: the stored {what} cannot be read at `{path}`: {problem}")
            }
            Self::UnknownTransition { flow, transition, records: count } => write!(
                f,
                "{flow}: {} taken `{transition}`, a transition that this version does not know: \
                 if it was renamed, say `alias`; if it was dropped, nothing depends on it",
                records(*count, "has", "have")
            ),
            Self::UnknownArtefact { flow, artefact, records: count } => write!(
                f,
                "{flow}: {} an artefact `{artefact}` that this version does not know: if it was \
                 renamed, say `alias`; if it was dropped, nothing depends on it",
                records(*count, "has", "have")
            ),
        }
    }
}

impl fmt::Display for AliasLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, kind, name, now, records } = self;
        match records {
            0 => write!(f, "{flow}: no row has the {kind} `{name}` (now `{now}`): drop the alias"),
            1 => write!(f, "{flow}: 1 row has the {kind} `{name}` (now `{now}`): keep the alias"),
            many => {
                write!(
                    f,
                    "{flow}: {many} rows have the {kind} `{name}` (now `{now}`): keep the alias"
                )
            }
        }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.findings.len();
        write!(f, "records that have not ended: {}; findings: {told}", self.records)?;
        self.findings.iter().try_for_each(|found| write!(f, "\n{found}"))?;
        let unreadable = |found: &&Found| matches!(found, Found::Unreadable { .. });
        let told = self.findings.iter().filter(unreadable).count();
        let more = self.unreadable.saturating_sub(u64::try_from(told).unwrap_or(u64::MAX));
        if more > 0 {
            write!(f, "\n{more} further values cannot be read")?;
        }
        self.aliases.iter().try_for_each(|alias| write!(f, "\n{alias}"))
    }
}
