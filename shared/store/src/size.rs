//! How large the database is and was.

use crate::{Error, Store};
use jiff::Timestamp;
use std::time::Duration;

/// Key of the advisory lock under which the size is measured: "vmsize" in ASCII.
const SIZE_LOCK: i64 = 0x766d_7369_7a65;

/// Days that sizes are kept.
const KEPT_DAYS: i32 = 90;

/// The database's size at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// When.
    pub at: Timestamp,
    /// All its files.
    pub bytes: i64,
}

/// How large the database may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// Nobody knows.
    Unknown,
    /// So many bytes.
    Bytes(i64),
    /// So many bytes more than now: what is free on its disk.
    Free(i64),
}

/// Measures the size unless that was done in the last `spacing`, and removes what is older than 90 days. `capacity` is
/// kept with the size.
///
/// Any number of collectors may call it: one measures, the others get `None`.
///
/// # Errors
/// The database's failures.
pub async fn measure(store: &Store, spacing: Duration, capacity: Capacity) -> Result<Option<Size>, Error> {
    const SIZE_LOCKED: &str = "\
-- size_lock
SELECT pg_try_advisory_xact_lock($1)";
    const MEASURE_SIZE: &str = "\
-- measure_size
INSERT INTO database_size (at, bytes, capacity_bytes) SELECT now(), s.bytes, coalesce($2, s.bytes + $3)
FROM pg_database_size(current_database()) AS s (bytes)
WHERE NOT EXISTS (SELECT FROM database_size WHERE at > now() - make_interval(secs => $1))
RETURNING at, bytes";
    const PRUNE_SIZES: &str = "\
-- prune_sizes
DELETE FROM database_size WHERE at < now() - make_interval(days => $1)";
    let (capacity_bytes, free_bytes) = match capacity {
        Capacity::Unknown => (None, None),
        Capacity::Bytes(bytes) => (Some(bytes), None),
        Capacity::Free(bytes) => (None, Some(bytes)),
    };
    let mut client = store.get().await?;
    let transaction = client
        .transaction()
        .await
        .map_err(Error::statement("measure_size"))?;
    let locked = transaction
        .query_one(SIZE_LOCKED, &[&SIZE_LOCK])
        .await
        .map_err(Error::statement("size_lock"))?;
    if !locked.get::<_, bool>(0) {
        return Ok(None);
    }
    let measured = transaction
        .query_opt(
            MEASURE_SIZE,
            &[&spacing.as_secs_f64(), &capacity_bytes, &free_bytes],
        )
        .await
        .map_err(Error::statement("measure_size"))?;
    transaction
        .execute(PRUNE_SIZES, &[&KEPT_DAYS])
        .await
        .map_err(Error::statement("prune_sizes"))?;
    transaction
        .commit()
        .await
        .map_err(Error::statement("measure_size"))?;
    Ok(measured.map(|row| Size {
        at: row.get(0),
        bytes: row.get(1),
    }))
}

/// The sizes from `from` to `to`, both inclusive, by time: at most some 26,000 in the time that they are kept.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, from: Timestamp, to: Timestamp) -> Result<Vec<Size>, Error> {
    const LIST_SIZES: &str = "\
-- list_sizes
SELECT at, bytes FROM database_size WHERE at BETWEEN $1 AND $2 ORDER BY at";
    let client = store.get().await?;
    let rows = client
        .query(LIST_SIZES, &[&from, &to])
        .await
        .map_err(Error::statement("list_sizes"))?;
    Ok(rows
        .iter()
        .map(|row| Size {
            at: row.get(0),
            bytes: row.get(1),
        })
        .collect())
}
