//! Which records are wanted.

use std::time::Duration;

use super::standing::Stuck;

/// Which records are wanted. All that is said must hold; nothing said means every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these ids. If there are any, the tables are not searched.
    pub ids: Vec<i64>,
    /// Only records of the flow with this stored name.
    pub flow: Option<String>,
    /// Only records in these states; empty for any.
    pub states: Vec<String>,
    /// Only the record with this idempotency key; of those of `create_single` the one that is not
    /// completed.
    pub key: Option<String>,
    /// Only records with this label, by its name, and its value. Needs `flow`.
    pub label: Option<(String, String)>,
    /// Only records whose newest transition failed with an error that contains this text.
    pub error: Option<String>,
    /// Only records whose newest transition failed with an error of this kind, as
    /// [`Failure::error`](super::Failure::error) has it: `order # not found`.
    pub error_kind: Option<String>,
    /// Only records that have been in their state for so long.
    pub in_state_for: Option<Duration>,
    /// Only records that nothing will move.
    pub stuck: bool,
    /// Only records that are stuck for this reason.
    pub stuck_because: Option<Stuck>,
}
