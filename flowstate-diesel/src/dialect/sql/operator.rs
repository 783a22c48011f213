//! What operators ask: records of any flow, by names that no type of this program has.
//!
//! Nothing here reads more rows than it is told to: lists and counts walk along the indexes of what
//! is due, what is claimed and the rest, and stop.

use super::statement::statements;
#[cfg(feature = "sqlite")]
use crate::dialect::rows::flow_columns;

/// The columns of a [`StandingRow`](crate::dialect::operate::StandingRow).
macro_rules! standing_columns {
    () => {
        "id, flow, state, seq, COALESCE(@key, single_key), attempts, @time(due_at), @time(leased_until), leased_by, \
         @time(deadline_at), @time(completed_at), @time(last_errored_at), @time(created_at), \
         @time(updated_at), props_version"
    };
}

statements! {
    Stand = concat!("SELECT ", standing_columns!(), " FROM flowstate_flows WHERE id = ?");
    /// The record under its lock, held to the end of the transaction.
    LockStanding =
        concat!("SELECT ", standing_columns!(), " FROM flowstate_flows WHERE id = ? @lock");
    StandingsByKey = concat!(
        "SELECT ", standing_columns!(), " FROM flowstate_flows WHERE flow = ? AND @key = ? \
         UNION ALL SELECT ", standing_columns!(), " FROM flowstate_flows \
         WHERE flow = ? AND @single = ?"
    );
    /// The key of a record that is completed, if another one has it now that is not.
    KeyHolder =
        "SELECT single_key, id FROM flowstate_flows WHERE flow = ? \
         AND @single = (SELECT single_key FROM flowstate_flows AS completed WHERE id = ?)";
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
    StandingsByLabel = concat!(
        "SELECT ", standing_columns!(), " FROM (\
         SELECT flow_id FROM flowstate_labels \
         WHERE flow = ? AND name = ? AND value = ? AND flow_id > ? ORDER BY flow_id LIMIT ?\
         ) AS found JOIN flowstate_flows ON id = flow_id ORDER BY id"
    );
    /// The artefacts of a record of this flow, without their payloads.
    ArtefactNamesOf =
        "SELECT name, seq, '', version FROM flowstate_artefacts WHERE flow_id = ? \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         ORDER BY seq, name";
    /// One of them.
    ArtefactOf =
        "SELECT name, seq, @text(payload), version FROM flowstate_artefacts WHERE flow_id = ? \
         AND EXISTS (SELECT 1 FROM flowstate_flows WHERE id = flow_id AND flow = ?) \
         AND name = ? AND seq = ?";
    /// How many records of a flow were completed of late, counted no further than told.
    CompletedLately =
        "SELECT 'records', COUNT(*) FROM (SELECT id FROM flowstate_flows @bycompleted \
         WHERE flow = ? AND completed_at >= @ago ORDER BY completed_at DESC LIMIT ?) AS lately";
    PropsOf = "SELECT @text(props), props_version FROM flowstate_flows WHERE id = ?";
    LabelsOf = "SELECT name, value, flow_id FROM flowstate_labels WHERE flow_id = ? ORDER BY name";
    /// The newest rows of a history, in their order.
    HistoryAfter =
        "SELECT seq, transition, from_state, to_state, attempt, error, actor, @text(metadata), \
         traceparent, @time(created_at) FROM flowstate_transitions \
         WHERE flow_id = ? AND seq > ? ORDER BY seq LIMIT 1000";
    /// Records that are due in one of these states, which may be claimed meanwhile.
    DueAmong =
        "SELECT state, id FROM flowstate_flows @bydue \
         WHERE flow = ? AND state IN @among AND due_at IS NOT NULL ORDER BY id LIMIT ?";
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
    /// The time by the database's clock.
    Clock =
        "SELECT @time(moment), COUNT(*) FROM (SELECT @now AS moment) AS clock GROUP BY moment";
    AppliedVersions = "SELECT version, COUNT(*) FROM flowstate_migrations GROUP BY version";
    DeleteWorker = "DELETE FROM flowstate_workers WHERE id = ?";
    DeleteOldWorkers = "DELETE FROM flowstate_workers WHERE seen_at < @ago";
}

#[cfg(any(feature = "mysql", feature = "sqlite"))]
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

// Of a lane, by the index that `@bydue` names, or that SQLite takes.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
statements! {
    StandingsRest = concat!(
        "SELECT ", standing_columns!(), " FROM flowstate_flows @bydue \
         WHERE flow = ? AND state = ? AND due_at IS NULL AND leased_until IS NULL AND id > ? \
         ORDER BY id LIMIT ?"
    );
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
    /// How often the newest records of each flow have moved of late, among the last 50 moves of each.
    MovedLately =
        "SELECT flow, COUNT(*) FROM (\
         SELECT id, flow, seq FROM flowstate_flows ORDER BY id DESC LIMIT ?) AS newest \
         JOIN flowstate_transitions AS past \
         ON past.flow_id = newest.id AND past.seq > newest.seq - 50 \
         WHERE created_at >= @ago GROUP BY flow";
    /// The transitions that the newest records have taken of late, among the last 50 of each.
    TakenLately = concat!(
        "SELECT transition, COUNT(*) FROM (", newest!(), ") AS lane \
         JOIN flowstate_transitions AS past \
         ON past.flow_id = lane.id AND past.seq > lane.seq - 50 \
         WHERE created_at >= @ago GROUP BY transition"
    );
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
    NoteWorker = note_worker!(
        "ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, running = excluded.running"
    );
}

#[cfg(feature = "sqlite")]
statements! {
    /// Why the newest transition of each of several records failed, if it did.
    ErrorsOf =
        "SELECT error, id FROM flowstate_flows \
         JOIN flowstate_transitions AS newest ON newest.flow_id = id AND newest.seq = flowstate_flows.seq \
         WHERE id @oneof AND error IS NOT NULL";
    /// Several records by their ids, if they are of this flow.
    FlowsAmong = concat!(
        "SELECT ", flow_columns!(), " FROM flowstate_flows WHERE id @oneof AND flow = ?"
    );
}

#[cfg(feature = "postgres")]
pub(crate) mod on_postgres {
    use super::statements;
    pub(crate) use super::{NoteDefinition, NoteWorker};
    use crate::dialect::rows::flow_columns;

    /// The rows of a lane that an index lists by `$order`, as a range of that index: no other has them
    /// in this order. Of `flow = ? AND state = ?` the planner keeps only the rest of the order, and
    /// goes along the primary key, or through the table, where its statistics make that look cheaper
    /// <https://www.postgresql.org/docs/current/functions-comparisons.html#ROW-WISE-COMPARISON>.
    macro_rules! of_lane {
        ($columns:expr, $which:literal, $order:literal) => {
            concat!(
                "SELECT ",
                $columns,
                " FROM (SELECT CAST(? AS TEXT) COLLATE \"C\" AS flow_name, \
                 CAST(? AS TEXT) COLLATE \"C\" AS state_name) AS lane \
                 JOIN flowstate_flows ON (flow, state) >= (flow_name, state_name) \
                 AND (flow, state) <= (flow_name, state_name) WHERE ",
                $which,
                " ORDER BY ",
                $order,
                " LIMIT ?"
            )
        };
    }

    /// The newest records of a state, so many of those that are due and of the rest.
    macro_rules! newest {
        () => {
            concat!(
                "(",
                of_lane!("id, seq", "due_at IS NOT NULL", "flow DESC, state DESC, due_at DESC"),
                ") UNION ALL (",
                of_lane!(
                    "id, seq",
                    "due_at IS NULL AND leased_until IS NULL",
                    "flow DESC, state DESC, id DESC"
                ),
                ")"
            )
        };
    }

    // What stands behind LATERAL with a LIMIT is looked up row by row, and never joined as a whole.
    statements! {
        StandingsRest = of_lane!(
            standing_columns!(),
            "due_at IS NULL AND leased_until IS NULL AND id > ?",
            "flow, state, id"
        );
        ErrorsInState = concat!(
            "SELECT error, COUNT(*) FROM (", newest!(), ") AS lane CROSS JOIN LATERAL (\
             SELECT error FROM flowstate_transitions AS past \
             WHERE past.flow_id = lane.id AND past.seq = lane.seq LIMIT 1) AS last \
             WHERE error IS NOT NULL GROUP BY error ORDER BY COUNT(*) DESC, error LIMIT 1000"
        );
        GivenUpInState = concat!(
            "SELECT 'records', COUNT(*) FROM (",
            of_lane!(
                "deadline_at, completed_at, last_errored_at",
                "due_at IS NULL AND leased_until IS NULL",
                "flow, state, id"
            ),
            ") AS rest WHERE last_errored_at IS NOT NULL AND deadline_at IS NULL \
             AND completed_at IS NULL"
        );
        MovedLately =
            "SELECT flow, COUNT(*) FROM (\
             SELECT id, flow, seq FROM flowstate_flows ORDER BY id DESC LIMIT ?) AS newest \
             CROSS JOIN LATERAL (SELECT created_at FROM flowstate_transitions AS past \
             WHERE past.flow_id = newest.id AND past.seq > newest.seq - 50 LIMIT 50) AS last \
             WHERE created_at >= @ago GROUP BY flow";
        /// Why the newest transition of each of several records failed, if it did.
        ErrorsOf =
            "SELECT error, id FROM flowstate_flows CROSS JOIN LATERAL (\
             SELECT error FROM flowstate_transitions AS past \
             WHERE past.flow_id = id AND past.seq = flowstate_flows.seq LIMIT 1) AS last \
             WHERE id @oneof AND error IS NOT NULL";
        /// Several records by their ids, if they are of this flow.
        FlowsAmong = concat!(
            "SELECT ", flow_columns!(), " FROM json_array_elements_text(@json) AS wanted (it) \
             CROSS JOIN LATERAL (SELECT * FROM flowstate_flows \
             WHERE id = it::bigint AND flow = ? LIMIT 1) AS found"
        );
        TakenLately = concat!(
            "SELECT transition, COUNT(*) FROM (", newest!(), ") AS lane CROSS JOIN LATERAL (\
             SELECT transition, created_at FROM flowstate_transitions AS past \
             WHERE past.flow_id = lane.id AND past.seq > lane.seq - 50 LIMIT 50) AS last \
             WHERE created_at >= @ago GROUP BY transition"
        );
    }
}

#[cfg(feature = "mysql")]
pub(crate) mod on_mysql {
    use super::statements;
    pub(crate) use super::{
        ErrorsInState, GivenUpInState, MovedLately, StandingsRest, TakenLately,
    };
    use crate::dialect::rows::flow_columns;

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
        /// Several records by their ids, if they are of this flow: by the key, too.
        FlowsAmong = concat!(
            "SELECT ", flow_columns!(),
            " FROM JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids \
             STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it WHERE flow = ?"
        );
        NoteWorker = note_worker!(
            "ON DUPLICATE KEY UPDATE seen_at = VALUES(seen_at), running = VALUES(running)"
        );
    }
}
