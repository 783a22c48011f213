-- One row per flow: where it stands. `seq` counts its transitions: version, key of the newest
-- history row and fence in one. Times are UTC text, `2026-01-31 23:59:59.123456`.
-- AUTOINCREMENT: the id of a destroyed flow is never given again.
CREATE TABLE flowstate_flows (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    flow TEXT NOT NULL,
    state TEXT NOT NULL,
    seq BIGINT NOT NULL,
    props TEXT NOT NULL,
    key TEXT,
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
CREATE INDEX flowstate_flows_due ON flowstate_flows (flow, state, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX flowstate_flows_lease ON flowstate_flows (flow, state, leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX flowstate_flows_deadline ON flowstate_flows (flow, state, deadline_at) WHERE deadline_at IS NOT NULL;

-- The history: seq 0 is the creation, and there are no gaps.
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
    PRIMARY KEY (flow_id, name, seq)
) WITHOUT ROWID;

-- Which migrations of flowstate have run, by `flowstate_diesel::migrate` or by your own tool.
CREATE TABLE IF NOT EXISTS flowstate_migrations (
    version TEXT NOT NULL PRIMARY KEY,
    applied_at TEXT NOT NULL
);
INSERT INTO flowstate_migrations (version, applied_at)
VALUES ('2026-11-23-000000', strftime('%Y-%m-%d %H:%M:%f000', 'now'));
