//! The subjects of errors: what was in the way, or which value.

use std::fmt;

/// The reasons why another transaction can be in the way of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConflictReason {
    /// The database is locked by another writer.
    Busy,
    /// Two transactions waited for each other.
    Deadlock,
    /// The transaction read what another has since changed.
    Serialization,
    /// The lock of the row was not given in time.
    LockTimeout,
    /// The database cancelled the statement after its time-out for statements, as a rule while it
    /// waited for a lock.
    StatementTimeout,
}

impl fmt::Display for ConflictReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the database is locked by another writer",
            Self::Deadlock => "two transactions waited for each other",
            Self::Serialization => "another transaction changed what this one had read",
            Self::LockTimeout => "the row stayed locked by another transaction",
            Self::StatementTimeout => {
                "the statement waited for longer than the database lets it run"
            }
        })
    }
}

/// Which stored value an error speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The props.
    Props,
    /// The artefact of this name.
    Artefact(String),
    /// The key given to `create_once` or `create_single`.
    Key,
    /// The label of this name.
    Label(&'static str),
    /// The actor of a transition.
    Actor,
    /// The metadata of a transition.
    Metadata,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Props => f.write_str("props"),
            Self::Artefact(name) => write!(f, "artefact `{name}`"),
            Self::Key => f.write_str("key"),
            Self::Label(name) => write!(f, "label `{name}`"),
            Self::Actor => f.write_str("actor"),
            Self::Metadata => f.write_str("metadata"),
        }
    }
}
