-- Hourly and daily tiers: what of them has to be made anew, and how far back each tier reaches.
-- The tiers' tables are not here: they follow the metric catalogue, as the sample tables do.

-- dirty_from: time of the oldest tick stored since the last rollup of its host; set by the update that moves the mark, so that it
-- costs ingest nothing. rolling_from: from where a rollup works, or worked when it died. All hours from the earlier of both on may
-- lack samples; all before are as the samples are.
ALTER TABLE ingest_progress
    ADD COLUMN dirty_from timestamptz,
    ADD COLUMN rolling_from timestamptz;
UPDATE ingest_progress SET dirty_from = timestamptz '2000-01-01 00:00Z' WHERE sequence > 0;

-- Hosts that took samples of a VM, now or before it moved: what came in late from any of them is the VM's.
CREATE TABLE vm_source (
    host_id integer NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    vm_id integer NOT NULL REFERENCES vm (id) ON DELETE CASCADE,
    PRIMARY KEY (host_id, vm_id)
);
CREATE INDEX vm_source_vm ON vm_source (vm_id);
INSERT INTO vm_source (host_id, vm_id) SELECT host_id, id FROM vm;

-- Where each tier begins: retention has removed what is older. Null until it has removed something.
CREATE TABLE tier (
    name text PRIMARY KEY CHECK (name IN ('raw', 'hour', 'day')),
    kept_from timestamptz
);
INSERT INTO tier (name) VALUES ('raw'), ('hour'), ('day');

-- How large the database may get, as the collector that measured was told; null when it was not.
ALTER TABLE database_size ADD COLUMN capacity_bytes bigint;
