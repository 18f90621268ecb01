-- Who did what. Rows are only ever added, by audit_append and by nothing else; each carries the hash of the one before, and
-- collectors sign the newest hash again and again.

CREATE TABLE audit (
    -- Without gaps from 1.
    id bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    actor_kind text NOT NULL CHECK (actor_kind IN ('anonymous', 'user', 'token', 'system')),
    -- The user or token itself; actor_user_id is the user, or the token's owner.
    actor_id uuid,
    actor_user_id uuid,
    actor_name text NOT NULL,
    remote text NOT NULL,
    request_id text NOT NULL,
    action text NOT NULL,
    target_kind text,
    target_id text,
    target_name text,
    result text NOT NULL CHECK (result IN ('done', 'denied', 'failed')),
    code integer NOT NULL,
    -- json and not jsonb: the hash is of the text as it was written.
    before json,
    after json,
    prev bytea NOT NULL,
    hash bytea NOT NULL
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_target ON audit (target_kind, target_id, id);
CREATE INDEX audit_actor ON audit (actor_user_id, id);

-- One row: the newest entry. Locked by each transaction that adds one, until it ends.
CREATE TABLE audit_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id bigint NOT NULL,
    hash bytea NOT NULL
);
INSERT INTO audit_head (id, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

-- An Ed25519 signature of what audit_head said at a moment, and of the checkpoint before. key_id is the secret with the key.
CREATE TABLE audit_checkpoint (
    number bigint PRIMARY KEY,
    audit_id bigint NOT NULL,
    hash bytea NOT NULL,
    at timestamptz NOT NULL,
    key_id uuid NOT NULL,
    signature bytea NOT NULL
);

-- A field as it is hashed: its length in UTF-8 before it, so that no two lists of fields look alike; a minus for none.
CREATE FUNCTION audit_field(field text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(octet_length(convert_to(field, 'UTF8'))::text || ':' || field, '-') $$;

-- Adds an entry and gives its number. Runs with its owner's rights: callers need none on the tables. Call it last in a
-- transaction: from here to its end, all other entries wait.
CREATE FUNCTION audit_append(
    new_actor_kind text, new_actor_id uuid, new_actor_user_id uuid, new_actor_name text, new_remote text,
    new_request_id text, new_action text, new_target_kind text, new_target_id text, new_target_name text,
    new_result text, new_code integer, new_before json, new_after json
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    head audit_head%ROWTYPE;
    new_id bigint;
    new_at timestamptz;
    new_hash bytea;
BEGIN
    SELECT * INTO STRICT head FROM audit_head FOR UPDATE;
    new_id := head.id + 1;
    new_at := clock_timestamp();
    new_hash := sha256(convert_to(
        audit_field(new_id::text)
        || audit_field((extract(epoch FROM new_at) * 1000000)::bigint::text)
        || audit_field(new_actor_kind)
        || audit_field(new_actor_id::text)
        || audit_field(new_actor_user_id::text)
        || audit_field(new_actor_name)
        || audit_field(new_remote)
        || audit_field(new_request_id)
        || audit_field(new_action)
        || audit_field(new_target_kind)
        || audit_field(new_target_id)
        || audit_field(new_target_name)
        || audit_field(new_result)
        || audit_field(new_code::text)
        || audit_field(new_before::text)
        || audit_field(new_after::text)
        || audit_field(encode(head.hash, 'hex')),
        'UTF8'));
    INSERT INTO audit (id, at, actor_kind, actor_id, actor_user_id, actor_name, remote, request_id, action,
        target_kind, target_id, target_name, result, code, before, after, prev, hash)
    VALUES (new_id, new_at, new_actor_kind, new_actor_id, new_actor_user_id, new_actor_name, new_remote, new_request_id,
        new_action, new_target_kind, new_target_id, new_target_name, new_result, new_code, new_before, new_after,
        head.hash, new_hash);
    UPDATE audit_head SET id = new_id, hash = new_hash;
    RETURN new_id;
END $$;

-- What a caller puts into its own search path must not be found by a function that has its owner's rights.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_append SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
REVOKE ALL ON FUNCTION audit_append FROM PUBLIC;
