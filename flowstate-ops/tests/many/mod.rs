//! More records than one plan holds.

/// SQL for SQLite that copies a record so often, with its history.
pub(crate) fn copies(id: i64, times: usize) -> String {
    format!(
        "INSERT INTO flowstate_flows \
             (flow, state, seq, props, attempts, last_errored_at, created_at, updated_at) \
         WITH RECURSIVE copy (number) AS \
             (SELECT 1 UNION ALL SELECT number + 1 FROM copy WHERE number < {times}) \
         SELECT flow, state, seq, props, attempts, last_errored_at, created_at, updated_at \
         FROM flowstate_flows, copy WHERE id = {id}; \
         INSERT INTO flowstate_transitions \
             (flow_id, seq, transition, from_state, to_state, attempt, error, token, created_at) \
         SELECT f.id, t.seq, t.transition, t.from_state, t.to_state, t.attempt, t.error, t.token, \
             t.created_at \
         FROM flowstate_flows f, flowstate_transitions t WHERE t.flow_id = {id} AND f.id <> {id}"
    )
}
