-- The ledger is read newest first, across all hosts.
CREATE INDEX gap_time ON gap (to_at, id);
