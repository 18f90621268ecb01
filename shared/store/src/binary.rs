//! What writer and readers of PostgreSQL's binary COPY format share.

/// How a stream begins; flags and the length of an extension follow, 4 bytes each.
pub(crate) const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// The moment that PostgreSQL counts from, 2000-01-01, in microseconds since the Unix epoch.
pub(crate) const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;
