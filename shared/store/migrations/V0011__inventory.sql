-- Labels, rules of groups, groups within groups, virtual machines without an agent, and the archive.

CREATE TABLE vm_label (
    vm_id integer NOT NULL REFERENCES vm (id) ON DELETE CASCADE,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (vm_id, key)
);
CREATE INDEX vm_label_value ON vm_label (key, value, vm_id);

CREATE TABLE host_label (
    host_id integer NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (host_id, key)
);
CREATE INDEX host_label_value ON host_label (key, value, host_id);

-- What is looked through when somebody searches: name, host, labels, the guest's name and addresses, in lower case. Apart from the
-- machine's row, which changes every few seconds.
CREATE TABLE vm_search (
    vm_id integer PRIMARY KEY REFERENCES vm (id) ON DELETE CASCADE,
    text text NOT NULL
);

-- With trigrams a search does not read the whole fleet's text. Not every server has the extension or lets it be made: then it does.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX vm_search_text ON vm_search USING gin (text gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'pg_trgm is not available: %', SQLERRM;
END $$;

-- A manual virtual machine is entered by a person: no agent sees it, and it need not have a host.
-- archived_at: since when the inventory of its host has lacked it for so long that lists leave it out.
-- placed_on: the host for which its membership of groups holds.
ALTER TABLE vm
    ALTER COLUMN host_id DROP NOT NULL,
    ADD COLUMN manual boolean NOT NULL DEFAULT false,
    ADD COLUMN description text NOT NULL DEFAULT '',
    ADD COLUMN archived_at timestamptz,
    ADD COLUMN placed_on integer,
    ADD CONSTRAINT vm_has_host CHECK (manual OR host_id IS NOT NULL);
UPDATE vm SET placed_on = host_id;
CREATE INDEX vm_name ON vm (lower(name), id);
CREATE INDEX vm_archived ON vm (id) WHERE archived_at IS NOT NULL;
INSERT INTO vm_search (vm_id, text)
SELECT v.id, lower(concat_ws(E'\n', v.name, h.name)) FROM vm v JOIN host h ON h.id = v.host_id;

-- The web servers' role may not write machines; these functions let it write manual ones alone, with their owner's rights.
CREATE FUNCTION vm_add_manual(new_uuid uuid, new_host_id integer, new_name text, new_description text)
RETURNS integer LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO vm (uuid, host_id, name, description, manual, placed_on)
    VALUES (new_uuid, new_host_id, new_name, new_description, true, new_host_id) RETURNING id
$$;
CREATE FUNCTION vm_change_manual(changed_id integer, new_host_id integer, new_name text, new_description text)
RETURNS integer LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE vm SET host_id = new_host_id, name = new_name, description = new_description, placed_on = new_host_id
    WHERE id = changed_id AND manual RETURNING id
$$;
CREATE FUNCTION vm_remove_manual(removed_id integer) RETURNS integer LANGUAGE sql SECURITY DEFINER AS $$
    DELETE FROM vm WHERE id = removed_id AND manual RETURNING id
$$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['vm_add_manual', 'vm_change_manual', 'vm_remove_manual'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %I FROM PUBLIC', name);
    END LOOP;
END $$;

-- rule: the text of a vmscope_model::Rule; none for a group whose members are put in one by one.
ALTER TABLE vm_group ADD COLUMN rule text;

-- What is in the child is in the parent.
CREATE TABLE vm_group_child (
    parent_id uuid NOT NULL REFERENCES vm_group (id) ON DELETE CASCADE,
    child_id uuid NOT NULL REFERENCES vm_group (id) ON DELETE CASCADE,
    PRIMARY KEY (parent_id, child_id),
    CHECK (parent_id <> child_id)
);
CREATE INDEX vm_group_child_child ON vm_group_child (child_id);

-- A machine may be in a group for several reasons: put in by somebody, by the group's rule, or through a group within it.
-- The last two are computed, and kept in the transaction of whatever they follow from.
ALTER TABLE vm_group_member ADD COLUMN source text NOT NULL DEFAULT 'direct' CHECK (source IN ('direct', 'rule', 'nested'));
ALTER TABLE vm_group_member ALTER COLUMN source DROP DEFAULT;
ALTER TABLE vm_group_member DROP CONSTRAINT vm_group_member_pkey, ADD PRIMARY KEY (group_id, vm_id, source);

INSERT INTO role_entry (role_id, permission, effect) VALUES
    ('00000000-0000-4000-8000-000000000002', 'host.write', 'allow'),
    ('00000000-0000-4000-8000-000000000002', 'vm.write', 'allow');
UPDATE role SET description = 'A viewer who labels virtual machines and hosts, and makes groups.'
WHERE id = '00000000-0000-4000-8000-000000000002';
