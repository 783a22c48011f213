//! What workers ask of the database.

/// A state of which a worker wants to know something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Comes back with the answer.
    pub label: usize,
    pub flow: &'a str,
    pub state: &'a str,
    /// By how many microseconds a record may be overdue.
    pub reach: i64,
}

/// As a JSON array of `[label, flow, state, reach]`.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn json(asked: &[Asked<'_>]) -> String {
    let asked = asked.iter().map(|asked| {
        serde_json::json!([asked.label.to_string(), asked.flow, asked.state, asked.reach])
    });
    asked.collect::<serde_json::Value>().to_string()
}
