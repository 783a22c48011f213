//! The statements of MySQL and MariaDB.

use diesel::mysql::Mysql;

use crate::dialect::sql::statement::{Speech, Words, statements};

// UTC_TIMESTAMP is the time at which the statement began, whatever the session's zone. In REPEATABLE
// READ a plain SELECT shows what was committed when the transaction first read
// <https://dev.mysql.com/doc/refman/8.4/en/innodb-consistent-read.html>; MariaDB knows no FOR SHARE.
impl Speech for Mysql {
    const WORDS: Words = Words {
        now: "UTC_TIMESTAMP(6)",
        began: "UTC_TIMESTAMP(6)",
        key: "`key`",
        single: "live_key",
        lock: "FOR UPDATE",
        skip: "FOR UPDATE SKIP LOCKED",
        free: "FOR UPDATE SKIP LOCKED",
        by_id: "FORCE INDEX (PRIMARY)",
        by_due: "FORCE INDEX (flowstate_flows_due)",
        by_lease: "FORCE INDEX (flowstate_flows_lease)",
        by_deadline: "FORCE INDEX (flowstate_flows_deadline)",
        by_completed: "FORCE INDEX (flowstate_flows_completed)",
        current: "LOCK IN SHARE MODE",
        after: ["UTC_TIMESTAMP(6) + INTERVAL ", " MICROSECOND"],
        ago: ["UTC_TIMESTAMP(6) - INTERVAL ", " MICROSECOND"],
        stayed: ["updated_at + INTERVAL ", " MICROSECOND"],
        at: ["CAST(", " AS DATETIME(6))"],
        json: ["", ""],
        among: [
            "(SELECT name FROM JSON_TABLE(",
            ", '$[*]' COLUMNS (name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$')) \
             AS names)",
        ],
        one_of: [
            "IN (SELECT it FROM JSON_TABLE(",
            ", '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids)",
        ],
        but: ["NOT JSON_CONTAINS(", ", CAST(id AS CHAR))"],
        most: ["", ""],
        string: "CHAR",
        text: ["", ""],
        time: ["DATE_FORMAT(", ", '%Y-%m-%d %H:%i:%s.%f')"],
    };
}

/// Inserts a record. `$key` is the column of the key.
macro_rules! insert_flow {
    ($key:literal) => {
        concat!(
            "INSERT INTO flowstate_flows (flow, state, seq, props, props_version, ",
            $key,
            ", attempts, due_at, deadline_at, completed_at, created_at, updated_at) \
             VALUES (?, ?, 0, @json, ?, ?, 0, \
             CASE WHEN TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND > @now \
             THEN TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND ELSE @after END, @after, \
             CASE WHEN ? THEN @now END, @now, @now)"
        )
    };
}

// By the key: an UPDATE is not led by it alone, as a SELECT is. Among few rows MariaDB takes an index of
// the flow, and holds a lock on its entries while it waits for the row, whose holder waits for them in
// order to move the row: a deadlock of two who change one record.
statements! {
    /// Any change: the values of the columns that the usual one does not touch come first. There is
    /// no RETURNING, and to read the times back would take one more statement.
    Advance =
        "UPDATE flowstate_flows @byid SET \
         leased_until = NULL, leased_by = NULL, deadline_at = @after, props = COALESCE(@json, props), \
         props_version = COALESCE(?, props_version), state = ?, seq = ?, attempts = ?, due_at = @after, \
         completed_at = CASE WHEN ? THEN @now END, last_errored_at = CASE WHEN ? THEN @now END, \
         updated_at = @now WHERE id = ? AND seq = ? AND flow = ? \
         AND created_at = COALESCE(TIMESTAMP'2000-01-01 00:00:00' + INTERVAL ? MICROSECOND, created_at) \
         AND COALESCE(leased_by, '') = COALESCE(?, leased_by, '')";
    /// The usual change.
    AdvanceOnce =
        "UPDATE flowstate_flows @byid SET state = ?, seq = ?, attempts = ?, due_at = @after, \
         completed_at = CASE WHEN ? THEN @now END, last_errored_at = CASE WHEN ? THEN @now END, \
         leased_until = NULL, leased_by = NULL, deadline_at = NULL, updated_at = @now \
         WHERE id = ? AND seq = ? AND flow = ? \
         AND created_at = COALESCE(TIMESTAMP'2000-01-01 00:00:00' + INTERVAL ? MICROSECOND, created_at) \
         AND COALESCE(leased_by, '') = COALESCE(?, leased_by, '')";
    InsertFlow = insert_flow!("@key");
    /// One that has its key until it is completed.
    InsertSingle = insert_flow!("single_key");
    Inserted =
        "SELECT id, @time(created_at), @time(due_at) FROM flowstate_flows \
         WHERE id = LAST_INSERT_ID()";
    // by the key, in this order: a scan of the table would lock, or wait for, every row
    TakeClaims =
        "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids \
         STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it \
         SET state = ?, seq = seq + 1, due_at = NULL, completed_at = NULL, \
         last_errored_at = NULL, leased_until = @after, leased_by = ?, deadline_at = @after, \
         updated_at = @now";
    NoteClaims =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, actor, token, created_at) \
         SELECT id, seq, ?, ?, state, attempts + 1, ?, ?, updated_at \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids \
         STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it";
    /// With each when its step last ended.
    NoteVisits =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, actor, token, created_at, visit) \
         SELECT id, seq, ?, ?, state, attempts + 1, ?, ?, updated_at, its_visit \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$[0]', its_visit BIGINT PATH '$[1]')) \
         AS ids STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it";
    NoteCreations =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, to_state, attempt, token, created_at) \
         SELECT id, 0, ?, state, 1, ?, created_at \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids \
         STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = it";
    /// When one of several transitions was last taken, of each of several records: backwards through
    /// the history, as far as the first of them, or a claim that knows it.
    // by the whole key: MySQL sorts all that there is of a record if it is told the rest alone
    LastTaken =
        "SELECT CAST(it AS CHAR), seq FROM (SELECT it, \
           (SELECT COALESCE(visit, seq) FROM flowstate_transitions FORCE INDEX (PRIMARY) \
            WHERE flow_id = it AND (JSON_CONTAINS(?, JSON_QUOTE(transition)) \
            OR (transition = ? AND visit IS NOT NULL)) \
            ORDER BY flow_id DESC, seq DESC LIMIT 1) AS seq \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (it BIGINT PATH '$')) AS ids) AS found \
         WHERE seq IS NOT NULL";
    /// [`LastTaken`] of one record, no further back than is looked.
    LastTakenOf =
        "SELECT CAST(flow_id AS CHAR), COALESCE(visit, seq) FROM flowstate_transitions \
         FORCE INDEX (PRIMARY) WHERE flow_id = ? AND seq > ? \
         AND (JSON_CONTAINS(?, JSON_QUOTE(transition)) OR (transition = ? AND visit IS NOT NULL)) \
         ORDER BY flow_id DESC, seq DESC LIMIT 1";
    // read in this order, by the key: a scan of the table would lock, or wait for, every row; MySQL
    // refuses to lock what JSON_TABLE gives (3569), but in a derived table has nothing to lock
    HeldLeases =
        "SELECT lease, id FROM (SELECT held_id, held_seq, lease FROM \
         JSON_TABLE(?, '$[*]' COLUMNS (held_id BIGINT PATH '$[0]', held_seq BIGINT PATH '$[1]', \
         lease JSON PATH '$')) AS listed) AS leases \
         STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = held_id AND seq = held_seq \
         WHERE leased_by = ? FOR UPDATE SKIP LOCKED";
    /// The ends of claims whose rows this transaction has locked.
    SettleFlows =
        "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (\
         of_id BIGINT PATH '$.id', of_seq BIGINT PATH '$.before', \
         of_flow VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$.flow', \
         to_state VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$.state', \
         to_seq BIGINT PATH '$.seq', to_attempts INT PATH '$.attempts', \
         to_due BIGINT PATH '$.due', to_deadline BIGINT PATH '$.deadline', \
         completes INT PATH '$.completes', fails INT PATH '$.fails')) AS ends \
         STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) \
         ON id = of_id AND seq = of_seq AND flow = of_flow \
         SET state = to_state, seq = to_seq, attempts = to_attempts, \
         due_at = @now + INTERVAL to_due MICROSECOND, \
         deadline_at = @now + INTERVAL to_deadline MICROSECOND, \
         completed_at = CASE WHEN completes = 1 THEN @now END, \
         last_errored_at = CASE WHEN fails = 1 THEN @now END, \
         leased_until = NULL, leased_by = NULL, updated_at = @now";
    // texts go as JSON strings, also those that are JSON, and come out as they were; what could not
    // be taken out would be NULL without the last clause
    SettleHistory =
        "INSERT INTO flowstate_transitions \
         (flow_id, seq, transition, from_state, to_state, attempt, error, actor, metadata, token, \
         created_at) SELECT ends.*, @now FROM JSON_TABLE(?, '$[*]' COLUMNS (\
         id BIGINT PATH '$.id', seq BIGINT PATH '$.seq', \
         transition LONGTEXT PATH '$.transition', from_state LONGTEXT PATH '$.from', \
         to_state LONGTEXT PATH '$.to', attempt INT PATH '$.attempt', \
         error LONGTEXT PATH '$.error' NULL ON EMPTY ERROR ON ERROR, \
         actor LONGTEXT PATH '$.actor' NULL ON EMPTY ERROR ON ERROR, \
         metadata LONGTEXT PATH '$.metadata' NULL ON EMPTY ERROR ON ERROR, \
         token LONGTEXT PATH '$.token')) AS ends";
    SettleArtefacts =
        "INSERT INTO flowstate_artefacts (flow_id, name, seq, payload, version) \
         SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (\
         id BIGINT PATH '$.id', name LONGTEXT PATH '$.name', seq BIGINT PATH '$.seq', \
         payload LONGTEXT PATH '$.payload' NULL ON EMPTY ERROR ON ERROR, \
         version BIGINT PATH '$.version')) AS ends";
    ExtendLeases =
        "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (held_id BIGINT PATH '$[0]', micros BIGINT PATH '$[2]')) \
         AS leases STRAIGHT_JOIN flowstate_flows FORCE INDEX (PRIMARY) ON id = held_id \
         SET leased_until = @now + INTERVAL micros MICROSECOND";
    // the transaction begins with the next statement
    AutocommitOff = "SET autocommit = 0";
    AutocommitOn = "SET autocommit = 1";
    // a lock of that name is the whole server's, and the name has at most 64 characters, as that of a
    // database may have; MySQL 9 has no SHA1 or MD5 any more
    LockMigrations =
        "SELECT 'locked', GET_LOCK(CONCAT('flowstate-', LEFT(SHA2(DATABASE(), 256), 40)), 50)";
    UnlockMigrations =
        "DO RELEASE_LOCK(CONCAT('flowstate-', LEFT(SHA2(DATABASE(), 256), 40)))";
    FindVersions =
        "SELECT table_name, 1 FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = 'flowstate_migrations'";
    MakeVersions =
        "CREATE TABLE IF NOT EXISTS flowstate_migrations \
         (version VARCHAR(64) NOT NULL PRIMARY KEY, applied_at DATETIME(6) NOT NULL) \
         ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
}

/// What a server is and how it is set, and whether it can log no changes at the session's level. Each
/// family skips the comment of the other, and knows the level by its own name only.
pub(super) const SERVER: &str = "SELECT CONCAT(VERSION(), '|', @@sql_mode), \
     CAST(@@log_bin AND @@binlog_format = 'STATEMENT' AND \
     /*M! @@tx_isolation */ /*!80000 @@transaction_isolation */ LIKE 'READ-%' AS SIGNED), \
     CAST(@@sql_safe_updates AS SIGNED)";
