//! The statements of PostgreSQL.

use diesel::pg::Pg;

use crate::dialect::rows::flow_columns;
use crate::dialect::sql::statement::{Speech, Words, statements};

// `now()` stands still from BEGIN on; FOR UPDATE would stand in the way of the foreign keys of new
// child rows <https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS>. Times are
// put into words here, whatever the session's zone and date style.
impl Speech for Pg {
    const WORDS: Words = Words {
        now: "clock_timestamp()",
        began: "statement_timestamp()",
        key: "key",
        single: "completed_at IS NULL AND single_key",
        lock: "FOR NO KEY UPDATE",
        skip: "FOR NO KEY UPDATE SKIP LOCKED",
        free: "FOR UPDATE SKIP LOCKED",
        by_id: "",
        by_due: "",
        by_lease: "",
        by_deadline: "",
        by_completed: "",
        current: "",
        after: ["clock_timestamp() + ", " * interval '1 microsecond'"],
        ago: ["statement_timestamp() - ", " * interval '1 microsecond'"],
        stayed: ["updated_at + ", " * interval '1 microsecond'"],
        at: ["(", "::timestamp AT TIME ZONE 'UTC')"],
        json: ["", "::json"],
        among: ["(SELECT json_array_elements_text(", "::json))"],
        // an array is looked up in the index; of a subquery the planner makes a join, for which it reads
        // the whole table where its statistics make that look cheaper
        one_of: ["= ANY (ARRAY (SELECT json_array_elements_text(", "::json)::bigint))"],
        but: ["id <> ALL (translate(", ", '[]', '{}')::bigint[])"],
        most: ["", ""],
        string: "text",
        text: ["", "::text"],
        time: ["to_char(", " AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"],
    };
}

/// Moves the row, if it is where the caller thinks. `$more` are columns that few changes touch.
macro_rules! moved {
    ($more:literal) => {
        concat!(
            "WITH moved AS (\
             UPDATE flowstate_flows SET state = ?, seq = ?, attempts = ?, \
             due_at = clock.now + ? * interval '1 microsecond', \
             completed_at = CASE WHEN ? = 1 THEN clock.now END, \
             last_errored_at = CASE WHEN ? = 1 THEN clock.now END, \
             deadline_at = clock.now + ? * interval '1 microsecond', updated_at = clock.now, ",
            $more,
            " FROM (SELECT @now) AS clock (now) WHERE id = ? AND seq = ? AND flow = ? \
             AND created_at = COALESCE(timestamptz '2000-01-01 00:00:00+00' + ? * interval '1 microsecond', created_at) \
             AND COALESCE(leased_by, '') = COALESCE(?, leased_by, '') \
             RETURNING id, state, seq, updated_at)"
        )
    };
}

/// Moves the row for a change of one link, and inserts its history row.
macro_rules! moved_once {
    () => {
        concat!(
            moved!("leased_until = NULL, leased_by = NULL"),
            ", history AS (\
             INSERT INTO flowstate_transitions \
             (flow_id, seq, transition, from_state, to_state, attempt, error, actor, metadata, \
             token, created_at) \
             SELECT id, seq, ?, ?, state, ?, ?, ?, @json, ?, updated_at FROM moved)"
        )
    };
}

macro_rules! stamp {
    () => {
        " SELECT @time(updated_at) FROM moved"
    };
}

/// Inserts a record with the first row of its history. `$alone` follows the clock; `$key` is the
/// column of the key, and `$held` when a key is taken.
macro_rules! made {
    ($key:literal, $held:literal; $alone:literal, $alone_name:literal) => {
        concat!(
            "WITH made AS (\
             INSERT INTO flowstate_flows \
             (flow, state, seq, props, props_version, ",
            $key,
            ", attempts, due_at, deadline_at, completed_at, created_at, updated_at) \
             SELECT ?, ?, 0, @json, ?, ?, 0, \
             CASE WHEN timestamptz 'epoch' + ? * interval '1 microsecond' > clock.now \
             THEN timestamptz 'epoch' + ? * interval '1 microsecond' \
             ELSE clock.now + ? * interval '1 microsecond' END, \
             clock.now + ? * interval '1 microsecond', \
             CASE WHEN ? = 1 THEN clock.now END, clock.now, clock.now \
             FROM (SELECT @now",
            $alone,
            ") AS clock (now",
            $alone_name,
            ") ON CONFLICT (flow, ",
            $key,
            ") WHERE ",
            $held,
            " DO NOTHING \
             RETURNING id, state, created_at, due_at\
             ), history AS (\
             INSERT INTO flowstate_transitions \
             (flow_id, seq, transition, to_state, attempt, metadata, token, created_at) \
             SELECT id, 0, ?, state, 1, @json, ?, created_at FROM made\
             ) SELECT id, @time(created_at), @time(due_at) FROM made"
        )
    };
}

/// When the step last finished: `@among` its finishing transitions. Backwards through the history, to
/// the first of them, or a claim that knows it, or the last row that is looked at: then the step
/// begins anew, where the record is.
macro_rules! last_finish {
    () => {
        "COALESCE((SELECT COALESCE(past.visit, past.seq) FROM flowstate_transitions AS past \
         WHERE past.flow_id = flow.id AND (past.transition IN @among \
         OR (past.transition = ? AND past.visit IS NOT NULL)) AND past.seq >= flow.seq - ? \
         ORDER BY past.seq DESC LIMIT 1), CASE WHEN flow.seq > ? THEN flow.seq - 1 ELSE -1 END)"
    };
}

/// Has whoever is asked to wait for a lock of others for longer than a second give up, until the end of
/// the transaction: also what stands behind it in its statement, a trigger for instance. A session
/// that is less patient stays so.
macro_rules! bounded {
    () => {
        "set_config('lock_timeout', CASE WHEN current_setting('lock_timeout')::interval \
         BETWEEN interval '1 millisecond' AND interval '1 second' \
         THEN current_setting('lock_timeout') ELSE '1s' END, true)"
    };
}

/// The beginning of a transaction whose waits are bounded, as one text.
pub(super) const BEGIN_BOUNDED: &str = concat!("BEGIN; SELECT ", bounded!());

/// A batch of claims: the start transition of every record that is due, the oldest first, but for
/// those that others have locked. With each, when the step last finished, and what is kept of that.
macro_rules! claim {
    ($which:literal, $last_finish:expr, $visit:literal) => {
        concat!(
            "WITH due AS (\
         SELECT id, due_at AS was_due FROM flowstate_flows \
         WHERE flow = ? AND state = ? AND due_at <= @began AND ",
            $which,
            " @skip\
         ), moved AS (\
         UPDATE flowstate_flows AS flow SET state = ?, seq = seq + 1, due_at = NULL, \
         completed_at = NULL, last_errored_at = NULL, \
         leased_until = clock.now + ? * interval '1 microsecond', leased_by = ?, \
         deadline_at = clock.now + ? * interval '1 microsecond', updated_at = clock.now \
         FROM due, (SELECT @now, CASE WHEN ? = 1 THEN ",
            bounded!(),
            " END) AS clock (now, bounded) WHERE flow.id = due.id \
         RETURNING flow.id, state, seq, props, props_version, key, single_key, attempts, due_at, \
         completed_at, \
         last_errored_at, created_at, updated_at, was_due, ",
            $last_finish,
            " AS last_finish\
         ), history AS (\
         INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, actor, token, created_at, visit) \
         SELECT id, seq, ?, ?, state, attempts + 1, ?, ?, updated_at, ",
            $visit,
            " FROM moved\
         ) SELECT ",
            flow_columns!(),
            ", NULLIF(last_finish, -1) FROM moved ORDER BY was_due, id"
        )
    };
}

statements! {
    /// The whole transition. Its parts see the same snapshot, so the child rows hang on the row
    /// that was moved: none if it was not where the caller thought.
    Advance = concat!(
        moved!("leased_until = NULL, leased_by = NULL, props = COALESCE(@json, props), \
                props_version = COALESCE(?, props_version)"),
        ", history AS (\
         INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, error, actor, metadata, token, \
         created_at) \
         SELECT id, (entry ->> 'seq')::bigint, entry ->> 'transition', entry ->> 'from', \
         entry ->> 'to', (entry ->> 'attempt')::integer, entry ->> 'error', entry ->> 'actor', \
         entry -> 'metadata', entry ->> 'token', updated_at \
         FROM moved, json_array_elements(@json) AS entries (entry)\
         ), artefacts AS (\
         INSERT INTO flowstate_artefacts (flow_id, name, seq, payload, version) \
         SELECT id, artefact ->> 'name', (artefact ->> 'seq')::bigint, artefact -> 'payload', \
         (artefact ->> 'version')::bigint \
         FROM moved, json_array_elements(@json) AS artefacts (artefact))",
        stamp!()
    );
    /// The usual change, which the server does in seven eighths of the time of `Advance`.
    AdvanceOnce = concat!(moved_once!(), stamp!());
    /// The usual change with an artefact.
    AdvanceOnceKeeping = concat!(
        moved_once!(),
        ", artefacts AS (\
         INSERT INTO flowstate_artefacts (flow_id, name, seq, payload, version) \
         SELECT id, ?, seq, @json, ? FROM moved)",
        stamp!()
    );
    /// The record with the first row of its history.
    Insert = made!("key", "key IS NOT NULL"; "", "");
    /// One that has its key until it is completed.
    InsertSingle =
        made!("single_key", "single_key IS NOT NULL AND completed_at IS NULL"; "", "");
    /// Inserts a record in a transaction of its own, under a lock by which [`Reads::was_created`](crate::dialect::Reads::was_created) can
    /// wait for its end: nobody else sees the row before, nor knows its id.
    InsertAtOnce = made!("key", "key IS NOT NULL"; ", pg_advisory_xact_lock(?)", ", announced");
    InsertSingleAtOnce = made!(
        "single_key", "single_key IS NOT NULL AND completed_at IS NULL";
        ", pg_advisory_xact_lock(?)", ", announced"
    );
    AwaitCreation = "SELECT pg_advisory_xact_lock(?)";
    /// From the newest record back to those that are older than the creation can be.
    FindCreated =
        "SELECT token, flow_id FROM flowstate_transitions WHERE token = ? AND seq = 0 \
         AND flow_id > COALESCE((SELECT id FROM flowstate_flows \
         WHERE created_at < @now - ? * interval '1 microsecond' ORDER BY id DESC LIMIT 1), 0)";
    /// Waits for the end of a transaction that has inserted this id.
    ClaimId =
        "INSERT INTO flowstate_flows \
         (id, flow, state, seq, props, attempts, created_at, updated_at) \
         VALUES (?, 'flowstate', '', 0, '{}', 0, @now, @now) ON CONFLICT DO NOTHING";
    UnclaimId = "DELETE FROM flowstate_flows WHERE id = ? AND flow = 'flowstate' AND state = ''";
    /// Many records of a flow at once, with the first rows of their histories.
    InsertMany =
        "WITH given AS MATERIALIZED (\
         SELECT nextval(pg_get_serial_sequence('flowstate_flows', 'id')) AS id, place, props \
         FROM json_array_elements(@json) WITH ORDINALITY AS given (props, place)\
         ), made AS (\
         INSERT INTO flowstate_flows \
         (id, flow, state, seq, props, props_version, attempts, due_at, deadline_at, completed_at, \
         created_at, updated_at) \
         SELECT id, ?, ?, 0, props, ?, 0, \
         clock.now + ? * interval '1 microsecond', clock.now + ? * interval '1 microsecond', \
         CASE WHEN ? = 1 THEN clock.now END, clock.now, clock.now \
         FROM given, (SELECT @now) AS clock (now) ORDER BY place \
         RETURNING id, state, created_at, due_at\
         ), history AS (\
         INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, to_state, attempt, token, created_at) \
         SELECT id, 0, ?, state, 1, ?, created_at FROM made\
         ) SELECT id, @time(created_at), @time(due_at) \
         FROM made JOIN given USING (id) ORDER BY place";
    Claim = claim!(
        "due_at >= @ago AND @but ORDER BY due_at LIMIT ?", last_finish!(), "last_finish"
    );
    /// Without that: a claim is planned at each execution, since the plan depends on how many are
    /// wanted.
    ClaimOnce = claim!("due_at >= @ago AND @but ORDER BY due_at LIMIT ?", "NULL::bigint", "NULL");
    /// Some records of which the ids are known.
    ClaimThese = claim!("id @oneof", last_finish!(), "last_finish");
    // materialized, for else each search is made twice: to filter, and to show; the last row is there
    // on a server, or in a session, that takes no writes
    Poll =
        "WITH seen (source, since) AS MATERIALIZED (\
         SELECT polled ->> 0, \
         (SELECT due_at FROM flowstate_flows \
         WHERE flow = polled ->> 1 AND state = polled ->> 2 \
         AND due_at >= @began - (polled ->> 3)::bigint * interval '1 microsecond' AND @but \
         ORDER BY due_at LIMIT 1) \
         FROM json_array_elements(@json) AS sources (polled) \
         UNION ALL SELECT polled ->> 0, \
         (SELECT leased_until FROM flowstate_flows \
         WHERE flow = polled ->> 1 AND state = polled ->> 2 AND leased_until <= @began AND @but \
         ORDER BY leased_until LIMIT 1) \
         FROM json_array_elements(@json) AS running (polled) \
         UNION ALL SELECT polled ->> 0, \
         (SELECT deadline_at FROM flowstate_flows \
         WHERE flow = polled ->> 1 AND state = polled ->> 2 AND deadline_at <= @began AND @but \
         ORDER BY deadline_at LIMIT 1) \
         FROM json_array_elements(@json) AS timed (polled) \
         UNION ALL SELECT 'read only', @began WHERE current_setting('transaction_read_only') = 'on'\
         ) SELECT source, (extract(epoch FROM @now - since) * 1000)::bigint \
         FROM seen WHERE since <= @now";
    NoticeChannel = "SELECT 'channel', 'flowstate_flows'::regclass::oid::bigint";
    /// It waits for no disk, since it writes nothing that has to last.
    Announce =
        "SELECT 'heard', COUNT(pg_notify('flowstate_' || 'flowstate_flows'::regclass::oid, given)) \
         FROM json_array_elements_text(@json) AS texts (given)";
    /// What no standby does: it says so in its own words (25006).
    LockNothing = "SELECT id FROM flowstate_flows WHERE false FOR UPDATE";
    /// Ends many claims at once, however each ends. Each row is looked up by its key. Each JSON object
    /// is read once: an operator for each of its members would read it again each time, which made
    /// half as much work again of the whole statement. (A payload may be the null of JSON, of which
    /// a column would make none: artefacts have operators.)
    // bounded before the first row is moved
    Settle = concat!(
        "WITH given AS MATERIALIZED (\
         SELECT * FROM json_to_recordset(@json) AS ended \
         (id bigint, before bigint, flow text, worker text, state text, seq bigint, attempts integer, \
         due bigint, deadline bigint, completes bigint, fails bigint)\
         ), held AS MATERIALIZED (\
         SELECT given.* FROM given, LATERAL (SELECT id FROM flowstate_flows \
         WHERE id = given.id AND seq = before AND flow = given.flow AND leased_by = worker @skip\
         ) AS locked\
         ), moved AS (\
         UPDATE flowstate_flows AS flow SET state = held.state, seq = held.seq, \
         attempts = held.attempts, due_at = clock.now + due * interval '1 microsecond', \
         completed_at = CASE WHEN completes = 1 THEN clock.now END, \
         last_errored_at = CASE WHEN fails = 1 THEN clock.now END, \
         deadline_at = clock.now + deadline * interval '1 microsecond', updated_at = clock.now, \
         leased_until = NULL, leased_by = NULL \
         FROM held, (SELECT @now, ",
        bounded!(),
        ") AS clock (now, bounded) WHERE flow.id = held.id \
         RETURNING flow.id, updated_at\
         ), history AS (\
         INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, error, actor, metadata, token, \
         created_at) \
         SELECT id, seq, transition, \"from\", \"to\", attempt, error, actor, metadata, token, \
         updated_at FROM json_to_recordset(@json) AS entries \
         (id bigint, seq bigint, transition text, \"from\" text, \"to\" text, attempt integer, \
         error text, actor text, metadata json, token text) JOIN moved USING (id)\
         ), artefacts AS (\
         INSERT INTO flowstate_artefacts (flow_id, name, seq, payload, version) \
         SELECT id, artefact ->> 'name', (artefact ->> 'seq')::bigint, artefact -> 'payload', \
         (artefact ->> 'version')::bigint \
         FROM json_array_elements(@json) AS all_artefacts (artefact) \
         JOIN moved ON id = (artefact ->> 'id')::bigint\
         ) SELECT 'settled', id FROM moved"
    );
    ExtendLeases =
        "WITH held AS (\
         SELECT id, (lease ->> 2)::bigint AS micros FROM flowstate_flows \
         JOIN json_array_elements(@json) AS leases (lease) \
         ON id = (lease ->> 0)::bigint AND seq = (lease ->> 1)::bigint \
         WHERE leased_by = ? FOR NO KEY UPDATE OF flowstate_flows SKIP LOCKED\
         ) UPDATE flowstate_flows SET leased_until = @now + micros * interval '1 microsecond' \
         FROM held WHERE flowstate_flows.id = held.id";
    /// Holds until the end of the transaction: outside one, no longer than this statement.
    MarkTransaction = "SELECT set_config('flowstate.transaction', 'open', true), 1::bigint";
    /// The encoding that the server takes texts to be in, and 1 in the transaction of the mark.
    ReadMark =
        "SELECT pg_client_encoding()::text, \
         (current_setting('flowstate.transaction', true) = 'open')::int::bigint";
    CheckTransaction = "SELECT 1";
    // the isolation that sees what was committed while the lock was waited for
    ReadCommitted = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
    LockMigrations = "SELECT pg_advisory_xact_lock(6149418374617202701)";
    // in whatever schema of the search path, and though this role may make no tables
    FindVersions =
        "SELECT 'found', 1::bigint WHERE to_regclass('flowstate_migrations') IS NOT NULL";
    MakeVersions =
        "CREATE TABLE IF NOT EXISTS flowstate_migrations \
         (version TEXT NOT NULL PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL)";
    ServerVersion = "SELECT current_setting('server_version'), \
         current_setting('server_version_num')::bigint";
}
