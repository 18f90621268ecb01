-- How hosts get their certificates, and which of them are not let in any more. Secrets are not here: only their SHA-256.

-- A token entitles to a number of first certificates, or (host_uuid) to certificates of one host.
CREATE TABLE enrolment_token (
    id text PRIMARY KEY,
    secret_sha256 bytea NOT NULL,
    label text NOT NULL,
    host_uuid uuid,
    uses_allowed integer NOT NULL CHECK (uses_allowed > 0),
    uses integer NOT NULL DEFAULT 0 CHECK (uses BETWEEN 0 AND uses_allowed),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);

-- Every certificate that a collector has signed. A host is named by its UUID: it need not be known otherwise.
CREATE TABLE certificate (
    sha256 bytea PRIMARY KEY,
    host_uuid uuid NOT NULL,
    key_sha256 bytea NOT NULL,
    root_sha256 bytea NOT NULL,
    token_id text REFERENCES enrolment_token (id) ON DELETE SET NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX certificate_host ON certificate (host_uuid, issued_at);

-- A host that was ever revoked: outlives the host's own row. While lifted_at is null nobody is let in for it; afterwards only
-- the certificates that are recorded and not revoked, so that those made by hand before stay dead.
CREATE TABLE host_revocation (
    host_uuid uuid PRIMARY KEY,
    revoked_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL DEFAULT '',
    lifted_at timestamptz,
    removed_at timestamptz
);

-- A host that is removed takes with it what belongs to it alone.
ALTER TABLE vm DROP CONSTRAINT vm_host_id_fkey,
    ADD CONSTRAINT vm_host_id_fkey FOREIGN KEY (host_id) REFERENCES host (id) ON DELETE CASCADE;
ALTER TABLE device DROP CONSTRAINT device_host_id_fkey,
    ADD CONSTRAINT device_host_id_fkey FOREIGN KEY (host_id) REFERENCES host (id) ON DELETE CASCADE;
ALTER TABLE device DROP CONSTRAINT device_vm_id_fkey,
    ADD CONSTRAINT device_vm_id_fkey FOREIGN KEY (vm_id) REFERENCES vm (id) ON DELETE CASCADE;
ALTER TABLE gap DROP CONSTRAINT gap_host_id_fkey,
    ADD CONSTRAINT gap_host_id_fkey FOREIGN KEY (host_id) REFERENCES host (id) ON DELETE CASCADE;
ALTER TABLE gap DROP CONSTRAINT gap_vm_id_fkey,
    ADD CONSTRAINT gap_vm_id_fkey FOREIGN KEY (vm_id) REFERENCES vm (id) ON DELETE CASCADE;
ALTER TABLE ingest_progress DROP CONSTRAINT ingest_progress_host_id_fkey,
    ADD CONSTRAINT ingest_progress_host_id_fkey FOREIGN KEY (host_id) REFERENCES host (id) ON DELETE CASCADE;
