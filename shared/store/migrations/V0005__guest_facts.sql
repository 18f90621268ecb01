-- What the system inside of a VM last said of itself, through its guest agent. Apart from the VM's row, which changes every
-- few seconds. facts: vmscope_model::Guest.
CREATE TABLE guest (
    vm_id integer PRIMARY KEY REFERENCES vm (id) ON DELETE CASCADE,
    as_of timestamptz NOT NULL,
    facts jsonb NOT NULL
);
