-- MySQL commits every statement of a migration by itself: each can run again after one that was
-- interrupted.
--
-- One row per flow: where it stands. `seq` counts its transitions: version, key of the newest
-- history row and fence in one. Times are UTC.
-- LONGTEXT and not JSON: MySQL's JSON rewrites numbers and reorders keys, MariaDB's refuses more
-- than 31 nested levels. `key` is VARBINARY, because text of a collation that MySQL and MariaDB
-- both know compares without trailing blanks; names never end in one. `key` is held until the flow is
-- destroyed, `single_key` until it is completed: an index cannot leave rows out, so that it is one of
-- `live_key`.
CREATE TABLE IF NOT EXISTS flowstate_flows (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    flow VARCHAR(64) NOT NULL,
    state VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    props LONGTEXT NOT NULL,
    props_version BIGINT NOT NULL DEFAULT 1,
    `key` VARBINARY(255),
    single_key VARBINARY(255),
    live_key VARBINARY(255) AS (CASE WHEN completed_at IS NULL THEN single_key END) STORED,
    attempts INTEGER NOT NULL,
    due_at DATETIME(6),
    leased_until DATETIME(6),
    leased_by VARCHAR(255),
    deadline_at DATETIME(6),
    completed_at DATETIME(6),
    last_errored_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    UNIQUE KEY flowstate_flows_key (flow, `key`),
    UNIQUE KEY flowstate_flows_single (flow, live_key),
    KEY flowstate_flows_due (flow, state, due_at),
    KEY flowstate_flows_lease (flow, leased_until),
    KEY flowstate_flows_deadline (flow, deadline_at),
    KEY flowstate_flows_completed (flow, completed_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The history: seq 0 is the creation, and there are no gaps.
-- `visit` is of claims of a step that can be repeated: the seq of its last end, or -1 before any, or
-- that from which it was claimed, where the last thousand rows have neither an end nor a claim of it.
CREATE TABLE IF NOT EXISTS flowstate_transitions (
    flow_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    transition VARCHAR(64) NOT NULL,
    from_state VARCHAR(64),
    to_state VARCHAR(64) NOT NULL,
    attempt INTEGER NOT NULL,
    error TEXT,
    actor VARCHAR(255),
    metadata LONGTEXT,
    traceparent VARCHAR(255),
    visit BIGINT,
    token VARCHAR(32) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    PRIMARY KEY (flow_id, seq),
    CONSTRAINT flowstate_transitions_flow FOREIGN KEY (flow_id) REFERENCES flowstate_flows (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The payloads, each written by the transition `seq`; the newest of a name counts.
CREATE TABLE IF NOT EXISTS flowstate_artefacts (
    flow_id BIGINT NOT NULL,
    name VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    payload LONGTEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (flow_id, name, seq),
    CONSTRAINT flowstate_artefacts_flow FOREIGN KEY (flow_id) REFERENCES flowstate_flows (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The graphs of the programs that use this database, as JSON: they describe and never decide. A
-- graph is known by its hash; versions of a program stand side by side.
CREATE TABLE IF NOT EXISTS flowstate_definitions (
    flow VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    definition LONGTEXT NOT NULL,
    program VARCHAR(255) NOT NULL,
    first_seen_at DATETIME(6) NOT NULL,
    last_seen_at DATETIME(6) NOT NULL,
    PRIMARY KEY (flow, hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The workers, each with a row while it runs. `serves` is JSON: the states each flow is taken from.
CREATE TABLE IF NOT EXISTS flowstate_workers (
    id VARCHAR(255) NOT NULL PRIMARY KEY,
    program VARCHAR(255) NOT NULL,
    version VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    pid BIGINT NOT NULL,
    started_at DATETIME(6) NOT NULL,
    seen_at DATETIME(6) NOT NULL,
    serves LONGTEXT NOT NULL,
    threads BIGINT NOT NULL,
    running BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What records are looked up by, other than their id and key.
CREATE TABLE IF NOT EXISTS flowstate_labels (
    flow_id BIGINT NOT NULL,
    name VARCHAR(64) NOT NULL,
    flow VARCHAR(64) NOT NULL,
    value VARBINARY(255) NOT NULL,
    PRIMARY KEY (flow_id, name),
    KEY flowstate_labels_value (flow, name, value, flow_id),
    CONSTRAINT flowstate_labels_flow FOREIGN KEY (flow_id) REFERENCES flowstate_flows (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What begins the idempotency keys of this database, in the only row. A copy that is used beside the
-- original needs one of its own: see `flowstate_diesel::new_identity`.
CREATE TABLE IF NOT EXISTS flowstate_database (
    identity VARCHAR(64) NOT NULL PRIMARY KEY
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT INTO flowstate_database (identity)
SELECT LEFT(SHA2(CONCAT(UUID(), RAND()), 256), 12) FROM (SELECT 1) AS one
WHERE NOT EXISTS (SELECT 1 FROM flowstate_database);

-- Which migrations of flowstate have run, by `flowstate_diesel::migrate` or by your own tool.
CREATE TABLE IF NOT EXISTS flowstate_migrations (
    version VARCHAR(64) NOT NULL PRIMARY KEY,
    applied_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO flowstate_migrations (version, applied_at) VALUES ('2026-11-23-000000', UTC_TIMESTAMP(6));
