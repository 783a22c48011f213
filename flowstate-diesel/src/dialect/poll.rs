//! The states that a worker polls the database for.

/// A state, and how far back a poll searches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollState<'a> {
    /// Comes back with the answer.
    pub label: usize,
    pub flow: &'a str,
    pub state: &'a str,
    /// By how many microseconds a record may be overdue. Not used for leases and deadlines.
    pub reach: i64,
}

/// All states of one poll.
#[derive(Clone, Copy, Debug)]
pub struct PollStates<'a> {
    /// Polled for a record that is due, by no more than the reach.
    pub sources: &'a [PollState<'a>],
    /// Polled for an expired lease, however long ago.
    pub running: &'a [PollState<'a>],
    /// Polled for a deadline that has passed, however long ago.
    pub timed: &'a [PollState<'a>],
}

/// States as a JSON array of `[label, flow, state, reach]`.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn json(states: &[PollState<'_>]) -> String {
    let states = states.iter().map(|state| {
        serde_json::json!([state.label.to_string(), state.flow, state.state, state.reach])
    });
    states.collect::<serde_json::Value>().to_string()
}
