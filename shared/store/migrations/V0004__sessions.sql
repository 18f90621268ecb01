-- Which session speaks for each host, how the collectors are, and how the database grows.

-- The newest session of each host. A transaction that writes samples holds a share of this row and checks the fence, so
-- that two collectors never write for one host at the same time.
CREATE TABLE host_session (
    host_id integer PRIMARY KEY REFERENCES host (id) ON DELETE CASCADE,
    fence bigint NOT NULL,
    collector text NOT NULL,
    remote text NOT NULL,
    agent_version text NOT NULL,
    connected_at timestamptz NOT NULL,
    disconnected_at timestamptz,
    -- How far the host's clock was ahead of the collector's when the session began.
    clock_offset_us bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX host_session_collector ON host_session (collector);

-- One row a collector, by the name in its certificate; written by its own heartbeat.
CREATE TABLE collector (
    name text PRIMARY KEY,
    version text NOT NULL,
    address text NOT NULL,
    started_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    stopped_at timestamptz,
    sessions integer NOT NULL DEFAULT 0,
    writers integer NOT NULL,
    rows_in_flight bigint NOT NULL DEFAULT 0,
    queue_frames bigint NOT NULL DEFAULT 0,
    rows_total bigint NOT NULL DEFAULT 0,
    rows_per_s real NOT NULL DEFAULT 0,
    -- Of the transactions since the heartbeat before; null when there was none.
    commit_mean_ms real,
    commit_max_ms real
) WITH (fillfactor = 50);

-- What each piece of a collector's periodic work came to the last time.
CREATE TABLE activity (
    collector text NOT NULL REFERENCES collector (name) ON DELETE CASCADE,
    name text NOT NULL,
    status text NOT NULL CHECK (status IN ('ok', 'failed')),
    message text NOT NULL,
    began_at timestamptz NOT NULL,
    took_ms bigint NOT NULL,
    PRIMARY KEY (collector, name)
);

CREATE TABLE database_size (
    at timestamptz PRIMARY KEY,
    bytes bigint NOT NULL
);
