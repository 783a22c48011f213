//! Which record an error speaks of.

use std::fmt;

use flowstate::Flow;

/// Which record an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef {
    /// The stored name of the flow.
    pub flow: &'static str,
    /// The key of the row; `None` before the record exists.
    pub id: Option<i64>,
}

impl RecordRef {
    pub(crate) fn of<F: Flow>(id: i64) -> Self {
        Self { flow: F::NAME, id: Some(id) }
    }

    pub(crate) fn new<F: Flow>() -> Self {
        Self { flow: F::NAME, id: None }
    }
}

impl fmt::Display for RecordRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "{} #{id}", self.flow),
            None => write!(f, "new {}", self.flow),
        }
    }
}
