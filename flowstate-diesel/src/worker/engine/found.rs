//! The findings of a poll.

use super::watermark::Source;

/// The findings of a poll.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Something was done, or is to be done now.
    pub(super) any: bool,
    /// There may be more to reap, or to take in time.
    pub(super) overdue: bool,
    /// The sources where something may be due all the same.
    pub(super) unseen: Unseen,
    /// Where there may be more than could be claimed.
    pub(super) left: Vec<Source>,
}

/// Whether something may be there that a poll has not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unseen {
    #[default]
    Nothing,
    /// It was not searched all the way back.
    FurtherBack,
    /// Something was due, and nothing of it could be claimed.
    Missed,
}
