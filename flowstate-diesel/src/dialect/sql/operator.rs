//! What operators ask: records of any flow, by names that no type of this program has.
//!
//! Nothing here reads more rows than it is told to: lists and counts walk along the indexes of what
//! is due, what is claimed and the rest, and stop.

use super::statement::statements;

/// The columns of a [`StandingRow`](crate::dialect::operate::StandingRow).
macro_rules! standing_columns {
    () => {
        "id, flow, state, seq, @key, attempts, @time(due_at), @time(leased_until), leased_by, \
         @time(deadline_at), @time(completed_at), @time(last_errored_at), @time(created_at), \
         @time(updated_at)"
    };
}

/// The newest records of a state, so many of those that are due and of the rest.
macro_rules! newest {
    () => {
        "SELECT id, seq FROM (SELECT id, seq FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at IS NOT NULL ORDER BY due_at DESC LIMIT ?) AS due \
         UNION ALL SELECT id, seq FROM (SELECT id, seq FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at IS NULL AND leased_until IS NULL \
         ORDER BY id DESC LIMIT ?) AS rest"
    };
}

statements! {
    Stand = concat!("SELECT ", standing_columns!(), " FROM flowstate_flows WHERE id = ?");
    /// The record under its lock, held to the end of the transaction.
    LockStanding =
        concat!("SELECT ", standing_columns!(), " FROM flowstate_flows WHERE id = ? @lock");
    StandingsByKey =
        concat!("SELECT ", standing_columns!(), " FROM flowstate_flows WHERE flow = ? AND @key = ?");
    /// The three parts of the records of a state, each along its index: those that are due, the
    /// longest due first; those that are claimed, whose lease ends first; and the rest by id.
    StandingsDue = concat!(
        "SELECT ", standing_columns!(), " FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at >= @at AND (due_at > @at OR id > ?) \
         ORDER BY due_at, id LIMIT ?"
    );
    StandingsClaimed = concat!(
        "SELECT ", standing_columns!(), " FROM flowstate_flows @bylease \
         WHERE flow = ? AND state = ? AND leased_until >= @at AND due_at IS NULL \
         AND (leased_until > @at OR id > ?) ORDER BY leased_until, id LIMIT ?"
    );
    StandingsRest = concat!(
        "SELECT ", standing_columns!(), " FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at IS NULL AND leased_until IS NULL AND id > ? \
         ORDER BY id LIMIT ?"
    );
    StandingsByLabel = concat!(
        "SELECT ", standing_columns!(), " FROM (\
         SELECT flow_id FROM flowstate_labels \
         WHERE flow = ? AND name = ? AND value = ? AND flow_id > ? ORDER BY flow_id LIMIT ?\
         ) AS found JOIN flowstate_flows ON id = flow_id ORDER BY id"
    );
    PropsOf = "SELECT @text(props), seq FROM flowstate_flows WHERE id = ?";
    LabelsOf = "SELECT name, value, flow_id FROM flowstate_labels WHERE flow_id = ? ORDER BY name";
    /// The newest rows of a history, in their order.
    HistoryAfter =
        "SELECT seq, transition, from_state, to_state, attempt, error, actor, @text(metadata), \
         @time(created_at) FROM flowstate_transitions \
         WHERE flow_id = ? AND seq > ? ORDER BY seq LIMIT 1000";
    /// The errors of the newest records in a state, and how many have each.
    ErrorsInState = concat!(
        "SELECT error, COUNT(*) FROM (", newest!(), ") AS lane \
         JOIN flowstate_transitions AS past ON past.flow_id = lane.id AND past.seq = lane.seq \
         WHERE error IS NOT NULL GROUP BY error ORDER BY COUNT(*) DESC, error LIMIT 1000"
    );
    /// How many of the first records of an error state nothing will move.
    GivenUpInState =
        "SELECT 'records', COUNT(*) FROM (\
         SELECT deadline_at, completed_at, last_errored_at FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at IS NULL AND leased_until IS NULL LIMIT ?\
         ) AS lane WHERE last_errored_at IS NOT NULL AND deadline_at IS NULL \
         AND completed_at IS NULL";
    /// The transitions that the newest records have taken of late, among the last 50 of each.
    TakenLately = concat!(
        "SELECT transition, COUNT(*) FROM (", newest!(), ") AS lane \
         JOIN flowstate_transitions AS past \
         ON past.flow_id = lane.id AND past.seq > lane.seq - 50 \
         WHERE created_at >= @ago GROUP BY transition"
    );
    MoveByHand =
        "UPDATE flowstate_flows SET state = ?, seq = seq + 1, attempts = ?, \
         due_at = CASE WHEN ? = 1 THEN @now END, \
         completed_at = CASE WHEN ? = 1 THEN @now END, \
         last_errored_at = CASE WHEN ? = 1 THEN COALESCE(last_errored_at, @now) END, \
         leased_until = NULL, leased_by = NULL, \
         deadline_at = CASE WHEN ? = 1 THEN deadline_at ELSE @ago END, updated_at = @now \
         WHERE id = ? AND seq = ?";
    Definitions =
        "SELECT flow, hash, @text(definition), program, @time(first_seen_at), @time(last_seen_at) \
         FROM flowstate_definitions ORDER BY flow, first_seen_at, hash LIMIT 1000";
    Workers =
        "SELECT id, program, version, host, pid, @time(started_at), @time(seen_at), \
         @text(serves), threads, running FROM flowstate_workers ORDER BY seen_at DESC, id LIMIT 1000";
    /// What the database's clock says.
    Clock =
        "SELECT @time(moment), COUNT(*) FROM (SELECT @now AS moment) AS clock GROUP BY moment";
    AppliedVersions = "SELECT version, COUNT(*) FROM flowstate_migrations GROUP BY version";
    DeleteWorker = "DELETE FROM flowstate_workers WHERE id = ?";
    DeleteOldWorkers = "DELETE FROM flowstate_workers WHERE seen_at < @ago";
}

/// A definition, or that it was seen again. `$again` is how the database says so.
macro_rules! note_definition {
    ($again:literal) => {
        concat!(
            "INSERT INTO flowstate_definitions \
             (flow, hash, definition, program, first_seen_at, last_seen_at) \
             VALUES (?, ?, @json, ?, @now, @now) ",
            $again
        )
    };
}

/// A worker, or what has changed of it. `$again` is how the database says so.
macro_rules! note_worker {
    ($again:literal) => {
        concat!(
            "INSERT INTO flowstate_workers \
             (id, program, version, host, pid, started_at, seen_at, serves, threads, running) \
             VALUES (?, ?, ?, ?, ?, @now, @now, @json, ?, ?) ",
            $again
        )
    };
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
statements! {
    NoteDefinition = note_definition!(
        "ON CONFLICT (flow, hash) DO UPDATE SET last_seen_at = excluded.last_seen_at, \
         program = excluded.program"
    );
    /// Why the newest transition of each of several records failed, if it did.
    ErrorsOf =
        "SELECT error, id FROM flowstate_flows \
         JOIN flowstate_transitions AS newest ON newest.flow_id = id AND newest.seq = flowstate_flows.seq \
         WHERE id IN @ids AND error IS NOT NULL";
    NoteWorker = note_worker!(
        "ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, running = excluded.running"
    );
}

#[cfg(feature = "mysql")]
pub(crate) mod on_mysql {
    use super::statements;

    // MariaDB does not know the alias by which MySQL names the new row
    // <https://mariadb.com/kb/en/insert-on-duplicate-key-update/>.
    statements! {
        NoteDefinition = note_definition!(
            "ON DUPLICATE KEY UPDATE last_seen_at = VALUES(last_seen_at), \
             program = VALUES(program)"
        );
        /// By the key, in this order: where the statistics are wrong, a scan of the table seems less.
        ErrorsOf =
            "SELECT error, id FROM JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids \
             STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it \
             STRAIGHT_JOIN flowstate_transitions AS newest FORCE INDEX (PRIMARY) \
             ON newest.flow_id = id AND newest.seq = flowstate_flows.seq WHERE error IS NOT NULL";
        NoteWorker = note_worker!(
            "ON DUPLICATE KEY UPDATE seen_at = VALUES(seen_at), running = VALUES(running)"
        );
    }
}
