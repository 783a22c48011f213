//! Why an operator's wish was not done, sorted by what the operator can do about it.

use std::fmt;

use chrono::{DateTime, Utc};

/// What functions of [`operator`](crate::operator) return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operator's wish was not done. Nothing of it was written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no record with this id.
    #[error(
        "there is no record #{id}: look for it with `list`; completed ones may have been purged"
    )]
    NotFound {
        /// The id.
        id: i64,
    },
    /// The record is there, and what was wished is not to be.
    #[error("{flow} #{id}: {refusal}")]
    Refused {
        /// The stored name of the flow.
        flow: String,
        /// The record.
        id: i64,
        /// Why, and what to do instead.
        refusal: Refusal,
    },
    /// What was handed over makes no sense by itself.
    #[error("{problem}")]
    Input {
        /// The mistake, and the remedy.
        problem: String,
    },
    /// A value of the tables has not the form that it is stored in.
    #[error("{what} cannot be read: `{text}`; it was not written by flowstate")]
    Stored {
        /// Which value, of which record.
        what: String,
        /// The value.
        text: String,
    },
    /// One of many records: the database refused to move it, or somebody had locked it.
    #[error("{flow} #{id}: the database refused")]
    NotDone {
        /// The stored name of the flow.
        flow: String,
        /// The record.
        id: i64,
        /// Why.
        source: Box<crate::Error>,
    },
    /// The database failed, or another transaction was in the way.
    #[error("the database refused")]
    Failed(#[from] crate::Error),
}

/// Why a record was not moved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It has moved on since it was looked at.
    Moved {
        /// Where it was seen.
        seen: i64,
        /// Where it is now.
        seq: i64,
        /// The state in which it is now.
        state: String,
    },
    /// `retry` of a record that has not failed.
    NotFailed {
        /// The state in which it is.
        state: String,
    },
    /// `retry`, `take` or `release` of a record that is completed.
    Completed {
        /// The state in which it is.
        state: String,
    },
    /// `release` of a record that nobody has claimed.
    NotClaimed {
        /// The state in which it is.
        state: String,
    },
    /// `release` of a claim whose holder lives.
    HolderLives {
        /// Who has claimed it.
        holder: String,
        /// Until when, if nobody extends it.
        until: DateTime<Utc>,
    },
    /// `release` of a claim whose beginning the history does not tell.
    NoOrigin,
    /// No program has left the graph of the flow.
    NoDefinition,
    /// `take` of a transition that the graph does not have.
    UnknownTransition {
        /// What was asked for.
        transition: String,
        /// What an operator may take.
        allowed: Vec<String>,
    },
    /// `take` of a transition that is not for operators.
    NotForOperators {
        /// What was asked for.
        transition: String,
        /// What an operator may take.
        allowed: Vec<String>,
    },
    /// `take` of a transition that persists or loads artefacts, which only the program has.
    CarriesArtefacts {
        /// What was asked for.
        transition: String,
    },
    /// `take` from a state in which the transition does not start.
    WrongState {
        /// What was asked for.
        transition: String,
        /// The state in which the record is.
        state: String,
        /// The states from which it starts.
        from: Vec<String>,
    },
    /// `force` of a completed record to a state that is not, while another one has its key.
    KeyTaken {
        /// The key, of `create_single`.
        key: String,
        /// The record that has it now, and is not completed.
        by: i64,
    },
    /// `force` to a state that no graph of the flow knows.
    UnknownState {
        /// What was asked for.
        state: String,
        /// The states of the newest graph.
        known: Vec<String>,
    },
    /// `force` to a state that this program does not know, though another version may: it would leave
    /// the record alone there.
    ForeignState {
        /// What was asked for.
        state: String,
        /// The states that this program knows.
        known: Vec<String>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { seen, seq, state } => write!(
                f,
                "it has moved on: seen at {seen}, now at {seq} in `{state}`; look at it again"
            ),
            Self::NotFailed { state } => write!(
                f,
                "it is in `{state}`, which is no error state: `retry` is for those; `take` or \
                 `force` move it elsewhere"
            ),
            Self::Completed { state } => {
                write!(f, "it is completed, in `{state}`; only `force` moves it now")
            }
            Self::NotClaimed { state } => {
                write!(f, "nobody has claimed it, it is in `{state}`: there is nothing to release")
            }
            Self::HolderLives { holder, until } => write!(
                f,
                "`{holder}` has claimed it until {} and may be at work; wait for that, or name the \
                 holder as gone",
                until.format("%Y-%m-%d %H:%M:%S UTC")
            ),
            Self::NoOrigin => f.write_str(
                "its history does not tell where it was claimed from; `force` moves it anywhere",
            ),
            Self::NoDefinition => f.write_str(
                "no program has registered this flow, so nobody knows its graph; start a worker of \
                 it, or call `flowstate_diesel::operator::register`",
            ),
            Self::UnknownTransition { transition, allowed } => {
                write!(f, "the graph has no transition `{transition}`; {}", Allowed(allowed))
            }
            Self::NotForOperators { transition, allowed } => write!(
                f,
                "`{transition}` is not declared `operator` in the graph; {}",
                Allowed(allowed)
            ),
            Self::CarriesArtefacts { transition } => write!(
                f,
                "`{transition}` persists or loads artefacts, which only the program can; `force` \
                 moves the record without"
            ),
            Self::WrongState { transition, state, from } => write!(
                f,
                "`{transition}` starts from {}, but it is in `{state}`",
                quoted(from, " or ")
            ),
            Self::KeyTaken { key, by } => write!(
                f,
                "it is completed, and its key `{key}` is now that of #{by}, of which there is one \
                 at a time: wait until that is completed, or `force` that"
            ),
            Self::UnknownState { state, known } => {
                write!(f, "no graph knows the state `{state}`; there are {}", quoted(known, ", "))
            }
            Self::ForeignState { state, known } => write!(
                f,
                "this program does not know the state `{state}` and would leave the record alone \
                 there; it knows {}",
                quoted(known, ", ")
            ),
        }
    }
}

/// What an operator may take, in words.
struct Allowed<'a>(&'a [String]);

impl fmt::Display for Allowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("no transition of this flow is for operators; `force` moves it"),
            names => write!(f, "operators may take {}", quoted(names, ", ")),
        }
    }
}

fn quoted(names: &[String], between: &str) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(between)
}
