//! Retention: each tier is kept for its own time, and goes by dropping chunks or partitions.
//!
//! Samples go by days, hours by months and days by years (about that long are a hypertable's chunks): one goes when all in it is
//! older than its tier is kept. Where a tier begins is noted first (`tier.kept_from`), so that no rollup makes a bucket out of what
//! is left of its samples. Samples of which no rollup was made yet are kept for [`ROLLUP_GRACE`] longer, not for ever: a
//! rollup that never comes must not fill the disk.

use crate::rollup::LOOKBACK_US;
use crate::schema::{Flavor, layout, partition};
use crate::tier::hour_of;
use crate::{Error, Store, Tier};
use jiff::Timestamp;
use std::time::Duration;
use tokio_postgres::Client;
use vmscope_model::Kind;

/// How much longer samples wait for their rollup.
const ROLLUP_GRACE: Duration = Duration::from_hours(48);

/// For how long each tier is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Samples.
    pub raw: Duration,
    /// Hours.
    pub hour: Duration,
    /// Days, and the gaps that are shown beside them.
    pub day: Duration,
}

/// What [`enforce`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Chunks or partitions of each tier, in the order of [`Tier::ALL`].
    pub tables: [u64; 3],
    /// Rows of gaps.
    pub gaps: u64,
    /// Marks of agent runs that ended before, except each host's newest.
    pub marks: u64,
    /// Samples are kept longer, because they wait for their rollup.
    pub waits: bool,
}

/// Drops what lies wholly before now minus what its tier is kept, with the gaps and marks of that time. Idempotent.
///
/// # Errors
/// The database's failures; what was dropped before stays dropped.
pub async fn enforce(store: &Store, keep: &Keep) -> Result<Removed, Error> {
    let flavor = store.flavor().await?;
    let mut client = store.dedicated().await?;
    let mut removed = Removed::default();
    for (tier, tables) in Tier::ALL.into_iter().zip(&mut removed.tables) {
        // A store without beginning keeps everything.
        let Some(due) = days_before(keep.of(tier)) else {
            continue;
        };
        let cutoff = match tier {
            Tier::Raw => not_waiting(&client, due).await?,
            Tier::Hour | Tier::Day => due,
        };
        removed.waits |= cutoff < due;
        let cutoff = move_on(&client, tier, cutoff).await?;
        *tables = match flavor {
            Flavor::Timescale => drop_chunks(&client, tier, cutoff).await?,
            Flavor::Postgres => partition::drop_before(&mut client, tier, cutoff.as_microsecond()).await?,
        };
        match tier {
            Tier::Raw => removed.marks = drop_marks(&client, cutoff).await?,
            Tier::Hour => {}
            Tier::Day => removed.gaps = drop_gaps(&client, cutoff).await?,
        }
    }
    Ok(removed)
}

impl Keep {
    const fn of(&self, tier: Tier) -> Duration {
        match tier {
            Tier::Raw => self.raw,
            Tier::Hour => self.hour,
            Tier::Day => self.day,
        }
    }
}

/// The beginning of the day that lies so long back.
fn days_before(keep: Duration) -> Option<Timestamp> {
    let keep_us = i64::try_from(keep.as_micros()).ok()?;
    day_of(Timestamp::now().as_microsecond().checked_sub(keep_us)?)
}

fn day_of(time_us: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(time_us - time_us.rem_euclid(Tier::Day.bucket_us())).ok()
}

/// From when on samples are kept, so that those stay of which no rollup was made, for a while.
async fn not_waiting(client: &Client, due: Timestamp) -> Result<Timestamp, Error> {
    const OLDEST_WAITING: &str = "\
-- oldest_waiting
SELECT min(least(dirty_from, rolling_from)) FROM ingest_progress";
    let row = client
        .query_one(OLDEST_WAITING, &[])
        .await
        .map_err(Error::statement("oldest_waiting"))?;
    let waiting: Option<Timestamp> = row.get(0);
    let Some(waiting) = waiting.and_then(|moment| day_of(hour_of(moment).as_microsecond() - LOOKBACK_US))
    else {
        return Ok(due);
    };
    let longest = due.checked_sub(ROLLUP_GRACE).unwrap_or(due);
    Ok(waiting.clamp(longest, due))
}

/// Notes from when on a tier is kept, which never goes back; returns it. Waits for rollups that read what is before it.
async fn move_on(client: &Client, tier: Tier, cutoff: Timestamp) -> Result<Timestamp, Error> {
    const MOVE_ON: &str = "\
-- move_on
INSERT INTO tier AS t (name, kept_from) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET kept_from = greatest(t.kept_from, excluded.kept_from)
RETURNING kept_from";
    let row = client
        .query_one(MOVE_ON, &[&tier.name(), &cutoff])
        .await
        .map_err(Error::statement("move_on"))?;
    Ok(row.get(0))
}

async fn drop_chunks(client: &Client, tier: Tier, cutoff: Timestamp) -> Result<u64, Error> {
    const DROP_CHUNKS: &str = "\
-- drop_chunks
SELECT count(*) FROM drop_chunks($1::text::regclass, older_than => $2::timestamptz)";
    let mut dropped = 0;
    for kind in Kind::ALL {
        let row = client
            .query_one(DROP_CHUNKS, &[&layout::tier_table(kind, tier), &cutoff])
            .await
            .map_err(Error::statement("drop_chunks"))?;
        dropped += row.get::<_, i64>(0).unsigned_abs();
    }
    Ok(dropped)
}

async fn drop_gaps(client: &Client, cutoff: Timestamp) -> Result<u64, Error> {
    const DROP_GAPS: &str = "\
-- drop_gaps
DELETE FROM gap WHERE to_at < $1";
    client
        .execute(DROP_GAPS, &[&cutoff])
        .await
        .map_err(Error::statement("drop_gaps"))
}

async fn drop_marks(client: &Client, cutoff: Timestamp) -> Result<u64, Error> {
    const DROP_MARKS: &str = "\
-- drop_marks
DELETE FROM ingest_progress p
WHERE last_tick_at < $1 AND dirty_from IS NULL AND rolling_from IS NULL
  AND EXISTS (SELECT FROM ingest_progress n WHERE n.host_id = p.host_id AND n.epoch > p.epoch)";
    client
        .execute(DROP_MARKS, &[&cutoff])
        .await
        .map_err(Error::statement("drop_marks"))
}
