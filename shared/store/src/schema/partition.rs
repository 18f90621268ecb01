//! Partitions by day (UTC) for servers without TimescaleDB.
//!
//! They are made for [`AHEAD_DAYS`] in advance, and on demand for late samples. A partition is made apart and then
//! attached: unlike `PARTITION OF`, that lets readers and writers of the parent go on.

use super::layout;
use crate::Error;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tokio_postgres::Client;
use vmscope_model::Kind;

/// Partitions are kept made for today and this many days to come.
const AHEAD_DAYS: i32 = 3;

/// Key of the advisory lock for making and dropping partitions: "vmpart" in ASCII.
const PARTITION_LOCK: i64 = 0x766d_7061_7274;

const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

/// A day, counted from the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Day(i32);

impl Day {
    /// The day of a moment in microseconds since the Unix epoch; moments beyond any believable clock share the last day.
    pub(crate) fn of(time_us: i64) -> Self {
        Self(i32::try_from(time_us.div_euclid(MICROSECONDS_A_DAY)).unwrap_or(i32::MAX))
    }

    fn today() -> Self {
        Self::of(Timestamp::now().as_microsecond())
    }

    fn date(self) -> Result<Date, Error> {
        let start = Timestamp::UNIX_EPOCH
            .checked_add(SignedDuration::from_hours(24 * i64::from(self.0)))
            .map_err(|_| Error::Range {
                what: "day",
                number: self.0.into(),
            })?;
        Ok(start.to_zoned(TimeZone::UTC).date())
    }
}

/// Makes the partitions of today and of the days to come.
pub(crate) async fn make_ahead(client: &mut Client) -> Result<(), Error> {
    let today = Day::today();
    let days: Vec<Day> = (0..=AHEAD_DAYS).map(|ahead| Day(today.0 + ahead)).collect();
    make(client, &days).await
}

/// Makes the partitions of `days` in every sample table, where they are missing.
pub(crate) async fn make(client: &mut Client, days: &[Day]) -> Result<(), Error> {
    const LOCK: &str = "\
-- partition_lock
SELECT pg_advisory_xact_lock($1)";
    const EXISTS: &str = "\
-- partition_exists
SELECT to_regclass($1) IS NOT NULL";
    let transaction = client.transaction().await.map_err(Error::statement("begin"))?;
    transaction
        .execute(LOCK, &[&PARTITION_LOCK])
        .await
        .map_err(Error::statement("partition_lock"))?;
    for kind in Kind::ALL {
        for &day in days {
            let parent = layout::table(kind);
            let (from, to) = (day.date()?, Day(day.0 + 1).date()?);
            let name = format!("{parent}_{}", from.strftime("%Y%m%d"));
            let row = transaction
                .query_one(EXISTS, &[&name])
                .await
                .map_err(Error::statement("partition_exists"))?;
            if row.get::<_, bool>(0) {
                continue;
            }
            let statements = format!(
                "-- partition_make\n\
                 CREATE TABLE {name} (LIKE {parent});\n\
                 CREATE INDEX ON {name} (entity_id, time DESC);\n\
                 ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{from} 00:00Z') TO ('{to} 00:00Z')"
            );
            transaction
                .batch_execute(&statements)
                .await
                .map_err(Error::statement("partition_make"))?;
        }
    }
    transaction.commit().await.map_err(Error::statement("commit"))
}

/// Drops the partitions that end at or before the day of `cutoff_us`, one at a time so that each holds its lock shortly.
pub(crate) async fn drop_before(client: &mut Client, cutoff_us: i64) -> Result<u64, Error> {
    const PARTITIONS: &str = "\
-- partitions
SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass($1) AND c.relname < $2 ORDER BY c.relname";
    let cutoff = Day::of(cutoff_us).date()?.strftime("%Y%m%d").to_string();
    let mut dropped = 0;
    for kind in Kind::ALL {
        let parent = layout::table(kind);
        let first_kept = format!("{parent}_{cutoff}");
        let rows = client
            .query(PARTITIONS, &[&parent, &first_kept])
            .await
            .map_err(Error::statement("partitions"))?;
        for row in rows {
            let name: String = row.get(0);
            // Waiting for the parent's lock makes every other user of the table wait too, so not for long.
            let statements =
                format!("-- partition_drop\nBEGIN; SET LOCAL lock_timeout = '5s'; DROP TABLE {name}; COMMIT");
            if let Err(source) = client.batch_execute(&statements).await {
                // Ends the failed transaction; if the connection is gone, there is none.
                let _ = client.batch_execute("ROLLBACK").await;
                return Err(Error::Statement {
                    operation: "partition_drop",
                    source,
                });
            }
            dropped += 1;
        }
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_utc() {
        assert_eq!(Day::of(0).date().unwrap().to_string(), "1970-01-01");
        assert_eq!(Day::of(-1).date().unwrap().to_string(), "1969-12-31");
        assert_eq!(
            Day::of(1_795_305_600_000_000).date().unwrap().to_string(),
            "2026-11-22"
        );
        assert!(Day::of(i64::MAX).date().is_err());
    }
}
