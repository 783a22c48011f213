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

/// States that are polled for the same.
#[derive(Clone, Copy, Debug)]
pub struct PollGroup<'a> {
    pub states: &'a [PollState<'a>],
    /// The ids of records that are overlooked, as a JSON array.
    pub but: &'a str,
}

/// All states of one poll.
#[derive(Clone, Copy, Debug)]
pub struct PollStates<'a> {
    /// Polled for a record that is due, by no more than the reach.
    pub sources: PollGroup<'a>,
    /// Polled for an expired lease, however long ago.
    pub running: PollGroup<'a>,
    /// Polled for a deadline that has passed, however long ago.
    pub timed: PollGroup<'a>,
}

/// States as a JSON array of `[label, flow, state, reach]`.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn json(group: PollGroup<'_>) -> String {
    let states = group.states.iter().map(|state| {
        serde_json::json!([state.label.to_string(), state.flow, state.state, state.reach])
    });
    states.collect::<serde_json::Value>().to_string()
}
