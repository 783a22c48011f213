//! The statements that do not differ.

use super::statement::statements;
use crate::dialect::rows::flow_columns;

statements! {
    FindFlow = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows WHERE id = ? AND flow = ?"
    );
    /// Reads the row under its lock, held to the end of the transaction.
    LockFlow = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows WHERE id = ? AND flow = ? @lock"
    );
    /// Locks the row unless others have locked it: then nothing is found.
    TryLockFlow = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows WHERE id = ? AND flow = ? @skip"
    );
    /// Reads the row locked to be deleted, unless others have locked it or refer to it: then nothing
    /// is found.
    TryFreeFlow = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows WHERE id = ? AND flow = ? @free"
    );
    FindKey = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows WHERE flow = ? AND @key = ?"
    );
    /// The record that is not completed and was created under a key that it alone has until then.
    FindSingle = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows WHERE flow = ? AND @single = ?"
    );
    ListFlows = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows \
         WHERE flow = ? AND state IN @among AND id > ? ORDER BY id LIMIT @most"
    );
    /// The records of a state that are due, the oldest first, locked; those that others have locked
    /// are passed over.
    DueFlows = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at >= @ago AND due_at <= @began AND @but \
         ORDER BY due_at LIMIT @most @skip"
    );
    /// A record of a state if it is due, locked; not if others have locked it.
    LockDue = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows \
         WHERE id = ? AND flow = ? AND state = ? AND due_at <= @began @skip"
    );
    /// The ids of the records that are due, the oldest first, and where each stands.
    FindDue =
        "SELECT CAST(id AS @string), seq FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at >= @ago AND due_at <= @began AND @but \
         ORDER BY due_at LIMIT @most";
    /// The ids of the records whose lease has run out, the oldest first, and where each stands.
    FindExpired =
        "SELECT CAST(id AS @string), seq FROM flowstate_flows @bylease \
         WHERE flow = ? AND state = ? AND leased_until <= @began AND @but \
         ORDER BY leased_until LIMIT @most";
    /// The ids of the records whose time in the state is over, the oldest first, and where each
    /// stands.
    FindOverdue =
        "SELECT CAST(id AS @string), seq FROM flowstate_flows @bydeadline \
         WHERE flow = ? AND state = ? AND deadline_at <= @began AND @but \
         ORDER BY deadline_at LIMIT @most";
    /// Records of a state without a deadline, or with one that is later than so long after they came
    /// there, in order of their ids. Each part of the state has an index. One that ended there, under a
    /// program to which the state is an end, is passed over.
    // `id` alone would be the column that is given, which PostgreSQL would sort as text
    FindLate =
        "SELECT CAST(id AS @string), seq FROM (\
         SELECT id, seq, deadline_at, updated_at FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at IS NOT NULL \
         UNION ALL SELECT id, seq, deadline_at, updated_at FROM flowstate_flows @bylease \
         WHERE flow = ? AND state = ? AND leased_until IS NOT NULL \
         UNION ALL SELECT id, seq, deadline_at, updated_at FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at IS NULL AND leased_until IS NULL \
         AND completed_at IS NULL) AS standing \
         WHERE (deadline_at IS NULL OR deadline_at > @stayed) AND id > ? \
         ORDER BY standing.id LIMIT @most";
    /// Has the time of one of them be over so long after it came there.
    SetDeadline =
        "UPDATE flowstate_flows @byid SET deadline_at = @stayed WHERE id = ? AND seq = ? AND flow = ? \
         AND completed_at IS NULL AND (deadline_at IS NULL OR deadline_at > @stayed)";
    /// A record whose lease has run out, locked; not if others have locked it.
    LockExpired = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows \
         WHERE id = ? AND seq = ? AND flow = ? AND leased_until <= @began @skip"
    );
    /// A record whose lease has run out, locked to be deleted.
    FreeExpired = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows \
         WHERE id = ? AND seq = ? AND flow = ? AND leased_until <= @began @free"
    );
    /// A record whose time in the state is over, locked; not if others have locked it.
    LockOverdue = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows \
         WHERE id = ? AND seq = ? AND flow = ? AND deadline_at <= @began @skip"
    );
    /// A record whose time in the state is over, locked to be deleted.
    FreeOverdue = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows \
         WHERE id = ? AND seq = ? AND flow = ? AND deadline_at <= @began @free"
    );
    /// The records of a state that somebody has claimed.
    LeasedBy = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows @bylease \
         WHERE flow = ? AND state = ? AND leased_until IS NOT NULL AND leased_by = ?"
    );
    /// Of some records those that this worker has claimed.
    HeldBy =
        "SELECT CAST(id AS @string), seq FROM flowstate_flows WHERE leased_by = ? AND id @oneof";
    /// The state from which a transition was taken, as it is committed now.
    CameFrom =
        "SELECT from_state, seq FROM flowstate_transitions \
         WHERE flow_id = ? AND seq = ? AND from_state IS NOT NULL @current";
    /// Claims a record that was just moved. The lease is bound as a negative number of microseconds.
    Lease =
        "UPDATE flowstate_flows SET leased_until = @ago, leased_by = ? WHERE id = ? AND seq = ?";
    /// Who has claimed a record.
    HolderOf =
        "SELECT leased_by, seq FROM flowstate_flows WHERE id = ? AND leased_by IS NOT NULL @current";
    DueNow = "UPDATE flowstate_flows SET due_at = @now WHERE due_at > @now";
    ExpireNow = "UPDATE flowstate_flows SET leased_until = @now WHERE leased_until > @now";
    OverdueNow = "UPDATE flowstate_flows SET deadline_at = @now WHERE deadline_at > @now";
    /// How many records wait in which state, but for those.
    Strangers =
        "SELECT state, COUNT(*) FROM flowstate_flows \
         WHERE flow = ? AND due_at IS NOT NULL AND NOT (state IN @among) \
         GROUP BY state ORDER BY state LIMIT 100";
    /// How many records are claimed in which state, but for those.
    ClaimedStrangers =
        "SELECT state, COUNT(*) FROM flowstate_flows \
         WHERE flow = ? AND leased_until IS NOT NULL AND NOT (state IN @among) \
         GROUP BY state ORDER BY state LIMIT 100";
    /// How many claims ran out so long ago, in which of those states.
    ForsakenClaims =
        "SELECT state, COUNT(*) FROM flowstate_flows \
         WHERE flow = ? AND leased_until <= @ago AND state IN @among \
         GROUP BY state ORDER BY state LIMIT 100";
    Identity = "SELECT identity, COUNT(*) FROM flowstate_database GROUP BY identity LIMIT 1";
    ForgetIdentity = "DELETE FROM flowstate_database WHERE identity <> ?";
    NewIdentity = "INSERT INTO flowstate_database (identity) VALUES (?)";
    InsertHistory =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, error, actor, metadata, token, \
         created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, @json, ?, @now)";
    /// The usual one, of which nothing else is said.
    InsertPlainHistory =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, @now)";
    /// The first history row, of the time at which the record was created.
    InsertCreation =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, to_state, attempt, metadata, token, created_at) \
         SELECT id, 0, ?, state, 1, @json, ?, created_at FROM flowstate_flows WHERE id = ?";
    InsertArtefact =
        "INSERT INTO flowstate_artefacts (flow_id, name, seq, payload, version) \
         VALUES (?, ?, ?, @json, ?)";
    /// The newest artefact of a name: one look-up in the key, however long the history.
    NewestArtefact =
        "SELECT name, seq, @text(payload), version FROM flowstate_artefacts \
         WHERE flow_id = ? AND name = ? ORDER BY seq DESC LIMIT 1";
    /// The newest artefact of several names, where it had others before.
    NewestArtefactAmong =
        "SELECT name, seq, @text(payload), version FROM flowstate_artefacts \
         WHERE flow_id = ? AND name IN @among ORDER BY seq DESC LIMIT 1";
    /// [`NewestArtefact`], if the record is of this flow.
    NewestArtefactOf =
        "SELECT name, seq, @text(payload), version FROM flowstate_artefacts \
         WHERE flow_id = ? AND name = ? \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         ORDER BY seq DESC LIMIT 1";
    /// [`NewestArtefactAmong`], if the record is of this flow.
    NewestArtefactAmongOf =
        "SELECT name, seq, @text(payload), version FROM flowstate_artefacts \
         WHERE flow_id = ? AND name IN @among \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         ORDER BY seq DESC LIMIT 1";
    AllArtefacts =
        "SELECT name, seq, @text(payload), version FROM flowstate_artefacts \
         WHERE flow_id = ? \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         ORDER BY seq, name";
    History =
        "SELECT seq, transition, from_state, to_state, attempt, error, actor, @text(metadata), \
         traceparent, @time(created_at) FROM flowstate_transitions WHERE flow_id = ? \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         ORDER BY seq";
    /// Keeps a trace context with rows of a history that were just written.
    KeepTraceContext =
        "UPDATE flowstate_transitions SET traceparent = ? WHERE flow_id = ? AND seq > ? AND seq <= ?";
    /// The newest trace context of a part of a history.
    KeptTraceContext =
        "SELECT traceparent, seq FROM flowstate_transitions \
         WHERE flow_id = ? AND seq > ? AND seq <= ? AND traceparent IS NOT NULL \
         ORDER BY seq DESC LIMIT 1";
    /// The token under which a transition was written.
    TokenOf = "SELECT token, seq FROM flowstate_transitions WHERE flow_id = ? AND seq = ?";
    /// What the history keeps of a keyed creation.
    MadeWith =
        "SELECT @text(metadata), seq FROM flowstate_transitions \
         WHERE flow_id = ? AND seq = 0 AND metadata IS NOT NULL";
    /// The next records of a flow that were completed so long ago, without their locks: when, and
    /// their ids.
    FinishedSince =
        "SELECT @time(completed_at), id FROM flowstate_flows @bycompleted \
         WHERE flow = ? AND completed_at >= @at AND completed_at <= @ago \
         AND (completed_at > @at OR id > ?) ORDER BY completed_at, id LIMIT @most";
    /// One of them under its lock, unless others have locked it or refer to it.
    LockFinished =
        "SELECT flow, seq FROM flowstate_flows WHERE id = ? AND completed_at <= @ago @free";
    InsertLabel = "INSERT INTO flowstate_labels (flow_id, name, flow, value) VALUES (?, ?, ?, ?)";
    DeleteLabels = "DELETE FROM flowstate_labels WHERE flow_id = ?";
    DeleteHistory = "DELETE FROM flowstate_transitions WHERE flow_id = ?";
    DeleteArtefacts = "DELETE FROM flowstate_artefacts WHERE flow_id = ?";
    DeleteFlow = "DELETE FROM flowstate_flows WHERE id = ? AND seq = ?";
}
