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
    ListFlows = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows \
         WHERE flow = ? AND state IN @among AND id > ? ORDER BY id LIMIT ?"
    );
    /// The records of a state that are due, the oldest first, locked; those that others have locked
    /// are passed over.
    DueFlows = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at >= @ago AND due_at <= @began AND @but \
         ORDER BY due_at LIMIT ? @skip"
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
         ORDER BY due_at LIMIT ?";
    /// The ids of the records whose lease has run out, the oldest first, and where each stands.
    FindExpired =
        "SELECT CAST(id AS @string), seq FROM flowstate_flows @bylease \
         WHERE flow = ? AND state = ? AND leased_until <= @began AND @but \
         ORDER BY leased_until LIMIT ?";
    /// The ids of the records whose time in the state is over, the oldest first, and where each
    /// stands.
    FindOverdue =
        "SELECT CAST(id AS @string), seq FROM flowstate_flows @bydeadline \
         WHERE flow = ? AND state = ? AND deadline_at <= @began AND @but \
         ORDER BY deadline_at LIMIT ?";
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
        "SELECT CAST(id AS @string), seq FROM flowstate_flows WHERE leased_by = ? AND id IN @ids";
    /// The state from which a transition was taken, as it is committed now.
    CameFrom =
        "SELECT from_state, seq FROM flowstate_transitions \
         WHERE flow_id = ? AND seq = ? AND from_state IS NOT NULL @current";
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
    Identity = "SELECT identity, COUNT(*) FROM flowstate_database GROUP BY identity LIMIT 1";
    ForgetIdentity = "DELETE FROM flowstate_database WHERE identity <> ?";
    NewIdentity = "INSERT INTO flowstate_database (identity) VALUES (?)";
    CountStates =
        "SELECT state, COUNT(*) FROM flowstate_flows WHERE flow = ? GROUP BY state ORDER BY state";
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
        "INSERT INTO flowstate_artefacts (flow_id, name, seq, payload) VALUES (?, ?, ?, @json)";
    /// The newest artefact of a name: one look-up in the key, however long the history.
    NewestArtefact =
        "SELECT name, seq, @text(payload) FROM flowstate_artefacts \
         WHERE flow_id = ? AND name = ? ORDER BY seq DESC LIMIT 1";
    /// The newest artefact of several names, where it had others before.
    NewestArtefactAmong =
        "SELECT name, seq, @text(payload) FROM flowstate_artefacts \
         WHERE flow_id = ? AND name IN @among ORDER BY seq DESC LIMIT 1";
    /// [`NewestArtefact`], if the record is of this flow.
    NewestArtefactOf =
        "SELECT name, seq, @text(payload) FROM flowstate_artefacts \
         WHERE flow_id = ? AND name = ? \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         ORDER BY seq DESC LIMIT 1";
    /// [`NewestArtefactAmong`], if the record is of this flow.
    NewestArtefactAmongOf =
        "SELECT name, seq, @text(payload) FROM flowstate_artefacts \
         WHERE flow_id = ? AND name IN @among \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         ORDER BY seq DESC LIMIT 1";
    AllArtefacts =
        "SELECT name, seq, @text(payload) FROM flowstate_artefacts \
         WHERE flow_id = ? \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         ORDER BY seq, name";
    History =
        "SELECT seq, transition, from_state, to_state, attempt, error, actor, @text(metadata), \
         @time(created_at) FROM flowstate_transitions WHERE flow_id = ? \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         ORDER BY seq";
    /// The token under which a transition was written.
    TokenOf = "SELECT token, seq FROM flowstate_transitions WHERE flow_id = ? AND seq = ?";
    /// What the history keeps of a keyed creation.
    MadeWith =
        "SELECT @text(metadata), seq FROM flowstate_transitions \
         WHERE flow_id = ? AND seq = 0 AND metadata IS NOT NULL";
    /// The next records that were completed so long ago, without their locks.
    FinishedSince =
        "SELECT flow, id FROM flowstate_flows \
         WHERE id > ? AND completed_at <= @ago AND (? IS NULL OR flow = ?) ORDER BY id LIMIT ?";
    /// One of them under its lock, unless others have locked it or refer to it.
    LockFinished =
        "SELECT flow, seq FROM flowstate_flows WHERE id = ? AND completed_at <= @ago @free";
    InsertLabel = "INSERT INTO flowstate_labels (flow_id, name, flow, value) VALUES (?, ?, ?, ?)";
    DeleteLabels = "DELETE FROM flowstate_labels WHERE flow_id = ?";
    DeleteHistory = "DELETE FROM flowstate_transitions WHERE flow_id = ?";
    DeleteArtefacts = "DELETE FROM flowstate_artefacts WHERE flow_id = ?";
    DeleteFlow = "DELETE FROM flowstate_flows WHERE id = ? AND seq = ?";
}
