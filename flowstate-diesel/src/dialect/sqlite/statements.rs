//! The statements of SQLite.

use diesel::sqlite::Sqlite;

use crate::dialect::sql::statement::{Speech, Words, statements};

// SQLite has no type for times and a clock of milliseconds: text of one fixed width, which sorts
// as the times do <https://www.sqlite.org/lang_datefunc.html>.
impl Speech for Sqlite {
    const WORDS: Words = Words {
        now: "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        began: "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        key: "key",
        single: "completed_at IS NULL AND single_key",
        lock: "",
        current: "",
        skip: "",
        free: "",
        by_id: "",
        by_due: "",
        by_lease: "",
        by_deadline: "",
        by_completed: "",
        after: ["strftime('%Y-%m-%d %H:%M:%f000', 'now', ", ")"],
        ago: ["strftime('%Y-%m-%d %H:%M:%f000', 'now', (-", " / 1000000.0) || ' seconds')"],
        stayed: ["strftime('%Y-%m-%d %H:%M:%f000', updated_at, (", " / 1000000.0) || ' seconds')"],
        at: ["", ""],
        json: ["", ""],
        among: ["(SELECT value FROM json_each(", "))"],
        one_of: ["IN (SELECT value FROM json_each(", "))"],
        but: ["id NOT IN (SELECT value FROM json_each(", "))"],
        // by a LIMIT that is bound alone newer versions choose their plan anew (3.53 does, 3.40 does not):
        // they compile the statement again whenever another is bound
        most: ["0 + ", ""],
        string: "TEXT",
        text: ["", ""],
        time: ["", ""],
    };
}

/// Inserts a record. `$key` is the column of the key, and `$held` when a key is taken.
macro_rules! insert_flow {
    ($key:literal, $held:literal) => {
        concat!(
            "INSERT INTO flowstate_flows (flow, state, seq, props, props_version, ",
            $key,
            ", attempts, due_at, deadline_at, completed_at, created_at, updated_at) \
             VALUES (?, ?, 0, @json, ?, ?, 0, CASE WHEN ? > @now THEN ? ELSE @after END, @after, \
             CASE WHEN ? THEN @now END, @now, @now) ON CONFLICT (flow, ",
            $key,
            ") WHERE ",
            $held,
            " DO NOTHING RETURNING id, created_at, due_at"
        )
    };
}

/// The usual change of the records of which `$which` is true.
macro_rules! advance_once {
    ($which:literal) => {
        concat!(
            "UPDATE flowstate_flows SET state = ?, seq = ?, attempts = ?, due_at = @after, \
             completed_at = CASE WHEN ? THEN @now END, last_errored_at = CASE WHEN ? THEN @now END, \
             leased_until = NULL, leased_by = NULL, deadline_at = NULL, updated_at = @now WHERE ",
            $which
        )
    };
}

statements! {
    /// The usual change.
    AdvanceOnce = advance_once!(
        "id = ? AND seq = ? AND flow = ? \
         AND substr(created_at, 3) = COALESCE(?, substr(created_at, 3)) \
         AND COALESCE(leased_by, '') = COALESCE(?, leased_by, '') RETURNING updated_at, due_at"
    );
    /// The usual change of several records, which are at the same place. Gives the ids of those that it
    /// has moved.
    AdvanceAlike = advance_once!(
        "id @oneof AND seq = ? AND flow = ? \
         AND COALESCE(leased_by, '') = COALESCE(?, leased_by, '') RETURNING '', id"
    );
    /// Of several records that have taken the same transition: by a JSON object that has the token of
    /// each under its id.
    NoteAlike =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, token, created_at) \
         SELECT key, ?, ?, ?, ?, ?, value, @now FROM json_each(?)";
    /// Any change: the values of the columns that the usual one does not touch come first.
    Advance =
        "UPDATE flowstate_flows SET \
         leased_until = NULL, leased_by = NULL, deadline_at = @after, props = COALESCE(@json, props), \
         props_version = COALESCE(?, props_version), state = ?, seq = ?, attempts = ?, due_at = @after, \
         completed_at = CASE WHEN ? THEN @now END, last_errored_at = CASE WHEN ? THEN @now END, \
         updated_at = @now WHERE id = ? AND seq = ? AND flow = ? \
         AND substr(created_at, 3) = COALESCE(?, substr(created_at, 3)) \
         AND COALESCE(leased_by, '') = COALESCE(?, leased_by, '') RETURNING updated_at, due_at";
    InsertFlow = insert_flow!("key", "key IS NOT NULL");
    /// One that has its key until it is completed.
    InsertSingle = insert_flow!("single_key", "single_key IS NOT NULL AND completed_at IS NULL");
    /// Of a batch of claims, all at the same time.
    TakeClaims =
        "UPDATE flowstate_flows SET state = ?, seq = seq + 1, due_at = NULL, completed_at = NULL, \
         last_errored_at = NULL, leased_until = @after, leased_by = ?, deadline_at = @after, \
         updated_at = @now WHERE id @oneof RETURNING updated_at, due_at";
    NoteClaims =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, actor, token, created_at) \
         SELECT id, seq, ?, ?, state, attempts + 1, ?, ?, updated_at \
         FROM flowstate_flows WHERE id @oneof";
    /// With each when its step last ended.
    NoteVisits =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, actor, token, created_at, visit) \
         SELECT flow.id, seq, ?, ?, state, attempts + 1, ?, ?, updated_at, \
         json_extract(value, '$[1]') FROM json_each(?) \
         CROSS JOIN flowstate_flows AS flow ON flow.id = json_extract(value, '$[0]')";
    NoteCreations =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, to_state, attempt, token, created_at) \
         SELECT id, 0, ?, state, 1, ?, created_at FROM flowstate_flows WHERE id @oneof";
    /// When one of several transitions was last taken, of each of several records: backwards through
    /// the history, to the first of them, or a claim that knows it, or a row that is looked at no more.
    LastTaken =
        "SELECT CAST(id AS TEXT), seq FROM (SELECT json_extract(ids.value, '$[0]') AS id, \
           (SELECT COALESCE(visit, seq) FROM flowstate_transitions \
            WHERE flow_id = json_extract(ids.value, '$[0]') \
            AND seq > json_extract(ids.value, '$[1]') \
            AND (transition IN @among OR (transition = ? AND visit IS NOT NULL)) \
            ORDER BY seq DESC LIMIT 1) AS seq \
         FROM json_each(?) AS ids) WHERE seq IS NOT NULL";
    // materialized, for else each search is made twice: to filter, and to show
    Poll =
        "WITH seen (source, since) AS MATERIALIZED ( \
           SELECT json_extract(value, '$[0]'), \
             (SELECT due_at FROM flowstate_flows \
              WHERE flow = json_extract(value, '$[1]') AND state = json_extract(value, '$[2]') \
              AND due_at >= strftime('%Y-%m-%d %H:%M:%f000', 'now', \
                (-json_extract(value, '$[3]') / 1000000.0) || ' seconds') AND @but \
              ORDER BY due_at LIMIT 1) FROM json_each(?) \
           UNION ALL SELECT json_extract(value, '$[0]'), \
             (SELECT leased_until FROM flowstate_flows \
              WHERE flow = json_extract(value, '$[1]') AND state = json_extract(value, '$[2]') \
              AND leased_until <= @began AND @but ORDER BY leased_until LIMIT 1) FROM json_each(?) \
           UNION ALL SELECT json_extract(value, '$[0]'), \
             (SELECT deadline_at FROM flowstate_flows \
              WHERE flow = json_extract(value, '$[1]') AND state = json_extract(value, '$[2]') \
              AND deadline_at <= @began AND @but ORDER BY deadline_at LIMIT 1) FROM json_each(?)) \
         SELECT source, CAST((julianday(@now) - julianday(since)) * 86400000 AS BIGINT) \
         FROM seen WHERE since <= @now";
    ExtendLeases =
        "UPDATE flowstate_flows SET leased_until = strftime('%Y-%m-%d %H:%M:%f000', 'now', \
         (leases.micros / 1000000.0) || ' seconds') \
         FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS seq, \
               json_extract(value, '$[2]') AS micros FROM json_each(?)) AS leases \
         WHERE flowstate_flows.id = leases.id AND flowstate_flows.seq = leases.seq \
         AND leased_by = ?";
    BeginImmediate = "BEGIN IMMEDIATE";
    BeginDeferred = "BEGIN";
    FileAndTimeout =
        "SELECT file, timeout FROM pragma_database_list, pragma_busy_timeout WHERE name = 'main'";
    /// What a write depends on besides the file <https://www.sqlite.org/pragma.html>, and how much there
    /// is by which the same statement might write something else: attached databases, temporary
    /// tables and triggers. Without a journal nothing can be rolled back.
    Manner =
        "SELECT foreign_keys || ' ' || synchronous || ' ' || fullfsync || ' ' || query_only || ' ' || \
           ignore_check_constraints || ' ' || secure_delete || ' ' || journal_mode || ' ' || \
           max_page_count, \
         (SELECT count(*) FROM sqlite_temp_master) \
         + (SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')) \
         + (journal_mode = 'off') \
         FROM pragma_foreign_keys, pragma_synchronous, pragma_fullfsync, \
           pragma_ignore_check_constraints, pragma_query_only, pragma_secure_delete, \
           pragma_journal_mode, pragma_max_page_count";
    Triggers =
        "SELECT name, 1 FROM sqlite_master \
         WHERE type = 'trigger' AND tbl_name LIKE 'flowstate~_%' ESCAPE '~' LIMIT 1";
    LibraryVersion = "SELECT sqlite_version(), 0";
    ReadJson = "SELECT value, 1 FROM json_each('[\"x\"]')";
    FindVersions =
        "SELECT name, 1 FROM sqlite_master WHERE type = 'table' AND name = 'flowstate_migrations'";
    MakeVersions =
        "CREATE TABLE IF NOT EXISTS flowstate_migrations \
         (version TEXT NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL)";
}
