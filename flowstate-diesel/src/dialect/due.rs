//! What workers ask of the database.

/// A state of which a worker wants to know something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Comes back with the answer.
    pub label: usize,
    pub flow: &'a str,
    pub state: &'a str,
    /// By how many microseconds a record may be overdue. Not used for leases and deadlines.
    pub reach: i64,
}

/// All states that a worker asks for at once.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// For a record that is due, by no more than the reach.
    pub sources: &'a [Asked<'a>],
    /// For an expired lease, however long ago.
    pub running: &'a [Asked<'a>],
    /// For a deadline that has passed, however long ago.
    pub timed: &'a [Asked<'a>],
}

/// As a JSON array of `[label, flow, state, reach]`.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn json(asked: &[Asked<'_>]) -> String {
    let asked = asked.iter().map(|asked| {
        serde_json::json!([asked.label.to_string(), asked.flow, asked.state, asked.reach])
    });
    asked.collect::<serde_json::Value>().to_string()
}
