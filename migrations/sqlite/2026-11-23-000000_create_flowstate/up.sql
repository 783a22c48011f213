-- One row per flow: where it stands. `seq` counts its transitions: version, key of the newest
-- history row and fence in one. Times are UTC text, `2026-01-31 23:59:59.123456`.
-- `key` is held until the flow is destroyed, `single_key` until it is completed.
-- AUTOINCREMENT: the id of a destroyed flow is never given again.
CREATE TABLE flowstate_flows (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    flow TEXT NOT NULL,
    state TEXT NOT NULL,
    seq BIGINT NOT NULL,
    props TEXT NOT NULL,
    props_version BIGINT NOT NULL DEFAULT 1,
    key TEXT,
    single_key TEXT,
    attempts INTEGER NOT NULL,
    due_at TEXT,
    leased_until TEXT,
    leased_by TEXT,
    deadline_at TEXT,
    completed_at TEXT,
    last_errored_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE UNIQUE INDEX flowstate_flows_key ON flowstate_flows (flow, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX flowstate_flows_single ON flowstate_flows (flow, single_key)
    WHERE single_key IS NOT NULL AND completed_at IS NULL;
CREATE INDEX flowstate_flows_due ON flowstate_flows (flow, state, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX flowstate_flows_lease ON flowstate_flows (flow, state, leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX flowstate_flows_deadline ON flowstate_flows (flow, state, deadline_at) WHERE deadline_at IS NOT NULL;
-- What is neither due nor claimed: every record is in one of the three, so that those of a state are
-- found and counted without an index more for the records that workers move.
CREATE INDEX flowstate_flows_rest ON flowstate_flows (flow, state) WHERE due_at IS NULL AND leased_until IS NULL;
-- What a purge deletes, in the order in which it was completed.
CREATE INDEX flowstate_flows_completed ON flowstate_flows (flow, completed_at) WHERE completed_at IS NOT NULL;

-- The history: seq 0 is the creation, and there are no gaps.
-- `visit` is of claims of a step that can be repeated: the seq of its last end, or -1 before any, or
-- that from which it was claimed, where the last thousand rows have neither an end nor a claim of it.
CREATE TABLE flowstate_transitions (
    flow_id BIGINT NOT NULL REFERENCES flowstate_flows (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    transition TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    error TEXT,
    actor TEXT,
    metadata TEXT,
    traceparent TEXT,
    visit BIGINT,
    token TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (flow_id, seq)
) WITHOUT ROWID;

-- The payloads, each written by the transition `seq`; the newest of a name counts.
CREATE TABLE flowstate_artefacts (
    flow_id BIGINT NOT NULL REFERENCES flowstate_flows (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    seq BIGINT NOT NULL,
    payload TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (flow_id, name, seq)
) WITHOUT ROWID;

-- The graphs of the programs that use this database, as JSON: they describe and never decide. A
-- graph is known by its hash; versions of a program stand side by side.
CREATE TABLE flowstate_definitions (
    flow TEXT NOT NULL,
    hash TEXT NOT NULL,
    definition TEXT NOT NULL,
    program TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    PRIMARY KEY (flow, hash)
) WITHOUT ROWID;

-- The workers, each with a row while it runs. `serves` is JSON: the states each flow is taken from.
CREATE TABLE flowstate_workers (
    id TEXT NOT NULL PRIMARY KEY,
    program TEXT NOT NULL,
    version TEXT NOT NULL,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    serves TEXT NOT NULL,
    threads BIGINT NOT NULL,
    running BIGINT NOT NULL
) WITHOUT ROWID;

-- What records are looked up by, other than their id and key.
CREATE TABLE flowstate_labels (
    flow_id BIGINT NOT NULL REFERENCES flowstate_flows (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    flow TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (flow_id, name)
) WITHOUT ROWID;

CREATE INDEX flowstate_labels_value ON flowstate_labels (flow, name, value, flow_id);

-- What begins the idempotency keys of this database, in the only row. A copy that is used beside the
-- original needs one of its own: see `flowstate_diesel::new_identity`.
CREATE TABLE flowstate_database (
    identity TEXT NOT NULL PRIMARY KEY
);
INSERT INTO flowstate_database (identity) VALUES (lower(hex(randomblob(6))));

-- Which migrations of flowstate have run, by `flowstate_diesel::migrate` or by your own tool.
CREATE TABLE IF NOT EXISTS flowstate_migrations (
    version TEXT NOT NULL PRIMARY KEY,
    applied_at TEXT NOT NULL
);
INSERT INTO flowstate_migrations (version, applied_at)
VALUES ('2026-11-23-000000', strftime('%Y-%m-%d %H:%M:%f000', 'now'));
