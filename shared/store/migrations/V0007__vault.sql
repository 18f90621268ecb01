-- Secrets, sealed by the programs before they come here: the database never sees a master key or a plain text.

-- sealed: a data key of its own under the master key named, and the secret under that data key. Both are bound to purpose,
-- owner and id, so that a row's contents are worth nothing in another row. version counts the changes.
CREATE TABLE secret (
    id uuid PRIMARY KEY,
    purpose text NOT NULL,
    owner text NOT NULL,
    master_key text NOT NULL,
    sealed bytea NOT NULL,
    version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX secret_purpose ON secret (purpose, owner);
CREATE INDEX secret_master_key ON secret (master_key);

-- Master keys that nothing may be sealed under any more. A program that still holds one is refused instead of writing what
-- nobody could read later.
CREATE TABLE retired_master_key (
    id text PRIMARY KEY,
    retired_at timestamptz NOT NULL DEFAULT now()
);
