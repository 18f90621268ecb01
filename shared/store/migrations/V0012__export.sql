-- Exports that are too big to be waited for: asked for in a web server, made by one collector, kept as a file for a while.
CREATE TABLE export_job (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    -- What the API token that asked is good for; null when a person asked.
    permissions text[],
    -- What is asked for, checked by the web server that took it.
    spec jsonb NOT NULL,
    -- The same as it was asked for, to be shown.
    query jsonb NOT NULL,
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'removed')),
    -- Rises with each collector that takes the job up. Only the newest one's words count.
    attempt integer NOT NULL DEFAULT 0,
    collector text,
    leased_until timestamptz,
    rows_done bigint NOT NULL DEFAULT 0,
    rows_total bigint,
    -- Where the file is in storage.
    file text,
    size_bytes bigint,
    -- Why it failed: a code.
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    -- When its file is removed.
    expires_at timestamptz,
    CHECK ((state = 'running') = (leased_until IS NOT NULL)),
    CHECK (state <> 'done' OR (file IS NOT NULL AND size_bytes IS NOT NULL AND expires_at IS NOT NULL))
);
CREATE INDEX export_job_open ON export_job (created_at) WHERE state IN ('queued', 'running');
CREATE INDEX export_job_user ON export_job (user_id, created_at);
CREATE INDEX export_job_finished ON export_job (finished_at) WHERE finished_at IS NOT NULL;

INSERT INTO role_entry (role_id, permission, effect) VALUES
    ('00000000-0000-4000-8000-000000000001', 'export.create', 'allow'),
    ('00000000-0000-4000-8000-000000000003', 'export.manage', 'allow');
