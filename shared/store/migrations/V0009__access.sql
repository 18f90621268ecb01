-- People, what they may do, and how they prove who they are. Secrets are not here: only hashes of what people and programs
-- know, and ids of rows of the table secret.

CREATE TABLE user_account (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64 AND name !~ '@'),
    email text CHECK (length(email) BETWEEN 3 AND 254 AND email ~ '@'),
    display_name text NOT NULL DEFAULT '',
    language text NOT NULL DEFAULT 'en',
    password_hash text NOT NULL,
    password_changed_at timestamptz NOT NULL DEFAULT now(),
    must_change_password boolean NOT NULL DEFAULT false,
    disabled_at timestamptz,
    totp_secret uuid,
    totp_confirmed_at timestamptz,
    -- The newest step of the clock whose code was used: each code works once.
    totp_last_step bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    CHECK (totp_confirmed_at IS NULL OR totp_secret IS NOT NULL)
);
-- A name has no @ and an address has one, so that one field takes both and no name is another one's address.
CREATE UNIQUE INDEX user_account_name ON user_account (lower(name));
CREATE UNIQUE INDEX user_account_email ON user_account (lower(email));

-- Codes for those who lost their second factor; each works once.
CREATE TABLE recovery_code (
    user_id uuid NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    sha256 bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, sha256)
);

CREATE TABLE role (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    description text NOT NULL DEFAULT '',
    built_in boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX role_name ON role (lower(name));

CREATE TABLE role_entry (
    role_id uuid NOT NULL REFERENCES role (id) ON DELETE CASCADE,
    permission text NOT NULL,
    effect text NOT NULL CHECK (effect IN ('allow', 'deny')),
    PRIMARY KEY (role_id, permission, effect)
);

CREATE TABLE role_parent (
    role_id uuid NOT NULL REFERENCES role (id) ON DELETE CASCADE,
    parent_id uuid NOT NULL REFERENCES role (id),
    PRIMARY KEY (role_id, parent_id),
    CHECK (role_id <> parent_id)
);
CREATE INDEX role_parent_parent ON role_parent (parent_id);

INSERT INTO role (id, name, description, built_in) VALUES
    ('00000000-0000-4000-8000-000000000001', 'viewer', 'Sees everything except people and their doings.', true),
    ('00000000-0000-4000-8000-000000000002', 'operator', 'A viewer who makes groups of virtual machines.', true),
    ('00000000-0000-4000-8000-000000000003', 'admin', 'An operator who makes users and gives them what he has.', true),
    ('00000000-0000-4000-8000-000000000004', 'super_admin', 'May do everything. One is always left.', true);
INSERT INTO role_entry (role_id, permission, effect)
SELECT ('00000000-0000-4000-8000-00000000000' || number)::uuid, permission, 'allow' FROM (VALUES
    (1, 'host.read'), (1, 'vm.read'), (1, 'group.read'), (1, 'ledger.read'), (1, 'system.read'),
    (2, 'group.write'),
    (3, 'user'), (3, 'role.read'), (3, 'grant.write'), (3, 'audit.read'),
    (4, '*')
) AS entry (number, permission);
INSERT INTO role_parent (role_id, parent_id) VALUES
    ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001'),
    ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000002');

CREATE TABLE vm_group (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    description text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX vm_group_name ON vm_group (lower(name));

CREATE TABLE vm_group_member (
    group_id uuid NOT NULL REFERENCES vm_group (id) ON DELETE CASCADE,
    vm_id integer NOT NULL REFERENCES vm (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, vm_id)
);
-- Which groups is a VM in: asked for each row of a list that not everybody sees.
CREATE INDEX vm_group_member_vm ON vm_group_member (vm_id, group_id);

CREATE TABLE access_grant (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    role_id uuid NOT NULL REFERENCES role (id),
    scope_kind text NOT NULL CHECK (scope_kind IN ('all', 'group', 'cluster')),
    scope_id uuid,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    CHECK ((scope_kind = 'all') = (scope_id IS NULL))
);
CREATE UNIQUE INDEX access_grant_once
    ON access_grant (user_id, role_id, scope_kind, coalesce(scope_id, '00000000-0000-0000-0000-000000000000'));
CREATE INDEX access_grant_role ON access_grant (role_id);
CREATE INDEX access_grant_scope ON access_grant (scope_id) WHERE scope_id IS NOT NULL;

CREATE TABLE login_session (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    remote text NOT NULL,
    user_agent text NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX login_session_user ON login_session (user_id, created_at);
CREATE INDEX login_session_expires ON login_session (expires_at);

-- Every refresh token of a session: a used one that comes again tells that somebody else has it too.
CREATE TABLE refresh_token (
    sha256 bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES login_session (id) ON DELETE CASCADE,
    issued_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    used_from text,
    successor bytea
);
CREATE INDEX refresh_token_session ON refresh_token (session_id);

-- Attempts to log in that have not succeeded, by the user's id or by a hash of the name that nobody has.
CREATE TABLE login_failure (
    key text PRIMARY KEY,
    failures integer NOT NULL,
    last_at timestamptz NOT NULL DEFAULT now(),
    locked_until timestamptz
);

CREATE TABLE api_token (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    secret_sha256 bytea NOT NULL,
    permissions text[] NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    last_used_remote text,
    revoked_at timestamptz
);
CREATE INDEX api_token_user ON api_token (user_id, created_at);

-- The public halves of the keys that sign access tokens; the private ones are sealed in the table secret. The active one has no
-- retires_at; what others signed is good until theirs.
CREATE TABLE signing_key (
    kid text PRIMARY KEY,
    public_jwk jsonb NOT NULL,
    secret uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retires_at timestamptz,
    removed_at timestamptz
);
CREATE UNIQUE INDEX signing_key_active ON signing_key ((true)) WHERE retires_at IS NULL;

-- The code that makes the first user.
CREATE TABLE setup_code (
    sha256 bytea PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz
);
