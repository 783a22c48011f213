//! What a check asks of a page of records, by their ids: no more rows than theirs are read.

use super::statement::statements;

statements! {
    /// The transitions in their histories, and how many of them have each.
    TransitionsAmong =
        "SELECT transition, COUNT(DISTINCT flow_id) FROM flowstate_transitions \
         WHERE flow_id @oneof GROUP BY transition ORDER BY transition";
    /// Their artefacts without the payloads, the newest by each name, each with its record in the place
    /// of a `seq`.
    ArtefactsAmong =
        "SELECT name, flow_id, '', version FROM flowstate_artefacts AS newest \
         WHERE flow_id @oneof AND seq = (SELECT MAX(other.seq) FROM flowstate_artefacts AS other \
         WHERE other.flow_id = newest.flow_id AND other.name = newest.name) \
         ORDER BY flow_id, seq";
    /// The props of those that are still not completed, each with its record in the place of a `seq`.
    PropsAmong =
        "SELECT '', id, @text(props), props_version FROM flowstate_flows \
         WHERE id @oneof AND completed_at IS NULL ORDER BY id";
    /// The newest of their artefacts by each name.
    PayloadsAmong =
        "SELECT flow_id, name, seq, @text(payload), version FROM flowstate_artefacts AS newest \
         WHERE flow_id @oneof AND seq = (SELECT MAX(other.seq) FROM flowstate_artefacts AS other \
         WHERE other.flow_id = newest.flow_id AND other.name = newest.name) \
         ORDER BY flow_id, seq";
    /// The ids of records in these states that have not ended, all as of one moment: the parts of each
    /// state, along their indexes.
    LiveAmong =
        "SELECT '', id FROM flowstate_flows WHERE flow = ? AND state IN @among \
         AND due_at IS NOT NULL AND completed_at IS NULL \
         UNION ALL SELECT '', id FROM flowstate_flows WHERE flow = ? AND state IN @among \
         AND due_at IS NULL AND leased_until IS NOT NULL AND completed_at IS NULL \
         UNION ALL SELECT '', id FROM flowstate_flows WHERE flow = ? AND state IN @among \
         AND due_at IS NULL AND leased_until IS NULL AND completed_at IS NULL";
    /// How many artefacts of a flow have each of these names: of all its records, since those that
    /// have ended are read by these names, too.
    ArtefactsNamed =
        "SELECT name, COUNT(*) FROM flowstate_artefacts \
         WHERE name IN @among \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         GROUP BY name ORDER BY name";
}
