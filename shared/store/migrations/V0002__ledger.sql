-- The loss ledger: a gap of ticks that had numbers says which, as a range of positions (epoch, sequence), both ends inclusive.
-- An end (epoch, 0) lies before the first tick of its epoch: the range covers all that an earlier run may have taken.
-- Ranges of one host never overlap, and none contains a tick that is stored.

ALTER TABLE gap
    ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ADD COLUMN first_epoch bigint,
    ADD COLUMN first_sequence bigint,
    ADD COLUMN last_epoch bigint,
    ADD COLUMN last_sequence bigint,
    ADD CONSTRAINT gap_range_whole CHECK (num_nulls(first_epoch, first_sequence, last_epoch, last_sequence) IN (0, 4)),
    ADD CONSTRAINT gap_range_order CHECK ((first_epoch, first_sequence) <= (last_epoch, last_sequence));
CREATE INDEX gap_range ON gap (host_id, last_epoch, last_sequence) WHERE first_epoch IS NOT NULL;
