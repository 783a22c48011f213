//! What can go wrong, and the exit code that says so.

use crate::operator;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// 0: it was done.
    Done,
    /// 1: the database or the connection failed.
    Failed,
    /// 2: the command was not understood.
    Usage,
    /// 3: something was found that should not be there.
    Found,
    /// 4: there is no such record.
    NotFound,
    /// 5: a record was refused.
    Refused,
}

impl Exit {
    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Found => 3,
            Self::NotFound => 4,
            Self::Refused => 5,
        }
    }
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The command makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A record was not found, or refused; or the database failed.
    #[error(transparent)]
    Operator(#[from] operator::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] flowstate_diesel::Error),
    /// There is no connection.
    #[error("no connection: {0}")]
    Connection(String),
    /// Standard input or output failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What was found has no JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Problem {
    /// The exit code that it deserves.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Operator(operator::Error::Input { .. }) => Exit::Usage,
            Self::Operator(error) => exit_of(error),
            _ => Exit::Failed,
        }
    }

    /// The message with its causes, in one line.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        in_one_line(self)
    }
}

/// The exit code that an error deserves.
pub(super) fn exit_of(error: &operator::Error) -> Exit {
    match error {
        operator::Error::NotFound { .. } => Exit::NotFound,
        operator::Error::Refused { .. } => Exit::Refused,
        _ => Exit::Failed,
    }
}

/// An error and its causes, one after the other.
pub(crate) fn in_one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in std::iter::successors(Some(error), |error| error.source()) {
        let text = cause.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    texts.join(": ")
}
