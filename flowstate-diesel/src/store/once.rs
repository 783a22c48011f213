//! What a start with a key has found.

/// The record of a key, and whether the call made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once<R> {
    /// The key was free: the record is new.
    Created(R),
    /// The record was there.
    Existing(R),
}

impl<R> Once<R> {
    /// The record, new or not.
    pub fn into_record(self) -> R {
        match self {
            Self::Created(record) | Self::Existing(record) => record,
        }
    }

    /// Whether the record is new.
    #[must_use]
    pub fn is_created(&self) -> bool {
        matches!(self, Self::Created(_))
    }
}
