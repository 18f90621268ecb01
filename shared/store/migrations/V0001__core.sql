-- Hosts, their VMs and devices, gaps in their samples, and how far each agent's samples are stored.
-- Sample tables are not here: they follow the metric catalogue and are made at the collector's start.

CREATE TABLE host (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    name text NOT NULL,
    os text NOT NULL DEFAULT '',
    kernel text NOT NULL DEFAULT '',
    cpu_model text NOT NULL DEFAULT '',
    cpu_count integer NOT NULL DEFAULT 0,
    memory_bytes bigint NOT NULL DEFAULT 0,
    hypervisor text NOT NULL DEFAULT '',
    agent_version text NOT NULL DEFAULT '',
    boot_at timestamptz,
    first_seen_at timestamptz NOT NULL DEFAULT now()
);

-- What its newest samples say is kept with the VM, so that the list of a whole fleet reads one table.
CREATE TABLE vm (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    host_id integer NOT NULL REFERENCES host (id),
    name text NOT NULL,
    state smallint,
    state_reason smallint,
    vcpus integer,
    memory_maximum_bytes bigint,
    memory_used_bytes bigint,
    memory_used_source smallint,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX vm_host ON vm (host_id);

-- A device belongs to a VM, or to the host itself when vm_id is null. kind: 2 vcpu, 3 disk, 4 nic.
CREATE TABLE device (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind smallint NOT NULL CHECK (kind BETWEEN 2 AND 4),
    host_id integer NOT NULL REFERENCES host (id),
    vm_id integer REFERENCES vm (id),
    name text NOT NULL
);
CREATE UNIQUE INDEX device_of_host ON device (host_id, kind, name) WHERE vm_id IS NULL;
CREATE UNIQUE INDEX device_of_vm ON device (vm_id, kind, name) WHERE vm_id IS NOT NULL;

-- Samples that should exist and do not. vm_id is null when the whole host is concerned; both ends are inclusive.
CREATE TABLE gap (
    host_id integer NOT NULL REFERENCES host (id),
    vm_id integer REFERENCES vm (id),
    metric_group text NOT NULL,
    cause text NOT NULL,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    ticks bigint NOT NULL
);
CREATE INDEX gap_host_time ON gap (host_id, to_at);

-- The highest sequence of each agent run whose samples are stored; changes in the samples' own transaction.
CREATE TABLE ingest_progress (
    host_id integer NOT NULL REFERENCES host (id),
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    last_tick_at timestamptz,
    PRIMARY KEY (host_id, epoch)
) WITH (fillfactor = 50);
