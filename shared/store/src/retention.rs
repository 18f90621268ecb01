//! Retention of raw samples: whole days go, by dropping chunks or partitions.

use crate::schema::{Flavor, layout, partition};
use crate::{Error, Store};
use jiff::Timestamp;
use std::time::Duration;
use vmscope_model::Kind;

/// What [`enforce`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Chunks or partitions.
    pub tables: u64,
    /// Rows of gaps.
    pub gaps: u64,
    /// Marks of agent runs that ended before, except each host's newest.
    pub marks: u64,
}

/// Drops the days that lie wholly before now minus `keep`, with the gaps and marks of that time. Idempotent.
///
/// # Errors
/// The database's failures; what was dropped before stays dropped.
pub async fn enforce(store: &Store, keep: Duration) -> Result<Removed, Error> {
    let keep_us = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
    // A store without beginning keeps everything.
    let Ok(cutoff) = Timestamp::from_microsecond(Timestamp::now().as_microsecond().saturating_sub(keep_us))
    else {
        return Ok(Removed::default());
    };
    let flavor = store.flavor().await?;
    let mut client = store.dedicated().await?;
    let tables = match flavor {
        Flavor::Timescale => drop_chunks(&client, cutoff).await?,
        Flavor::Postgres => partition::drop_before(&mut client, cutoff.as_microsecond()).await?,
    };
    Ok(Removed {
        tables,
        gaps: drop_gaps(&client, cutoff).await?,
        marks: drop_marks(&client, cutoff).await?,
    })
}

async fn drop_chunks(client: &tokio_postgres::Client, cutoff: Timestamp) -> Result<u64, Error> {
    const DROP_CHUNKS: &str = "\
-- drop_chunks
SELECT count(*) FROM drop_chunks($1::text::regclass, older_than => $2::timestamptz)";
    let mut dropped = 0;
    for kind in Kind::ALL {
        let row = client
            .query_one(DROP_CHUNKS, &[&layout::table(kind), &cutoff])
            .await
            .map_err(Error::statement("drop_chunks"))?;
        dropped += row.get::<_, i64>(0).unsigned_abs();
    }
    Ok(dropped)
}

async fn drop_gaps(client: &tokio_postgres::Client, cutoff: Timestamp) -> Result<u64, Error> {
    const DROP_GAPS: &str = "\
-- drop_gaps
DELETE FROM gap WHERE to_at < $1";
    client
        .execute(DROP_GAPS, &[&cutoff])
        .await
        .map_err(Error::statement("drop_gaps"))
}

async fn drop_marks(client: &tokio_postgres::Client, cutoff: Timestamp) -> Result<u64, Error> {
    const DROP_MARKS: &str = "\
-- drop_marks
DELETE FROM ingest_progress p
WHERE last_tick_at < $1
  AND EXISTS (SELECT FROM ingest_progress n WHERE n.host_id = p.host_id AND n.epoch > p.epoch)";
    client
        .execute(DROP_MARKS, &[&cutoff])
        .await
        .map_err(Error::statement("drop_marks"))
}
