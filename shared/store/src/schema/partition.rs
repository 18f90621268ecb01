//! Partitions for servers without TimescaleDB: samples by day, hours by month, days by year, all UTC.
//!
//! Those of samples are made for [`AHEAD_DAYS`] in advance; all are made on demand. A partition is made apart and then
//! attached: unlike `PARTITION OF`, that lets readers and writers of the parent go on.

use super::layout;
use crate::{Error, Tier};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use std::collections::BTreeSet;
use tokio_postgres::{Client, Transaction};
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
    make(client, Tier::Raw, &days).await
}

/// The days that share a partition with `date`: from the first to the one after the last.
fn span(tier: Tier, date: Date) -> Result<(Date, Date), Error> {
    let (first, length) = match tier {
        Tier::Raw => (date, 1.day()),
        Tier::Hour => (date.first_of_month(), 1.month()),
        Tier::Day => (date.first_of_year(), 1.year()),
    };
    let end = first.checked_add(length).map_err(|_| Error::Range {
        what: "year",
        number: date.year().into(),
    })?;
    Ok((first, end))
}

fn name(parent: &str, first: Date) -> String {
    format!("{parent}_{}", first.strftime("%Y%m%d"))
}

/// Makes the partitions of a tier that hold `days`, for every kind, where they are missing.
pub(crate) async fn make(client: &mut Client, tier: Tier, days: &[Day]) -> Result<(), Error> {
    const LOCK: &str = "\
-- partition_lock
SELECT pg_advisory_xact_lock($1)";
    let mut spans = BTreeSet::new();
    for day in days {
        spans.insert(span(tier, day.date()?)?);
    }
    let transaction = client.transaction().await.map_err(Error::statement("begin"))?;
    transaction
        .execute(LOCK, &[&PARTITION_LOCK])
        .await
        .map_err(Error::statement("partition_lock"))?;
    for kind in Kind::ALL {
        for &span in &spans {
            make_one(&transaction, kind, tier, span).await?;
        }
    }
    transaction.commit().await.map_err(Error::statement("commit"))
}

async fn make_one(
    transaction: &Transaction<'_>,
    kind: Kind,
    tier: Tier,
    (from, to): (Date, Date),
) -> Result<(), Error> {
    const EXISTS: &str = "\
-- partition_exists
SELECT to_regclass($1) IS NOT NULL";
    let parent = layout::tier_table(kind, tier);
    let name = name(parent, from);
    let row = transaction
        .query_one(EXISTS, &[&name])
        .await
        .map_err(Error::statement("partition_exists"))?;
    if row.get::<_, bool>(0) {
        return Ok(());
    }
    let unique = layout::unique(tier);
    let statements = format!(
        "-- partition_make\n\
         CREATE TABLE {name} (LIKE {parent});\n\
         CREATE {unique}INDEX ON {name} (entity_id, time DESC);\n\
         ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{from} 00:00Z') TO ('{to} 00:00Z')"
    );
    transaction
        .batch_execute(&statements)
        .await
        .map_err(Error::statement("partition_make"))
}

/// Drops the partitions of a tier that end at or before the day of `cutoff_us`, one at a time so that each holds its lock
/// shortly.
pub(crate) async fn drop_before(client: &mut Client, tier: Tier, cutoff_us: i64) -> Result<u64, Error> {
    const PARTITIONS: &str = "\
-- partitions
SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass($1) AND c.relname < $2 ORDER BY c.relname";
    // The first of a span: the partition that it begins has not ended.
    let (first_kept, _) = span(tier, Day::of(cutoff_us).date()?)?;
    let mut dropped = 0;
    for kind in Kind::ALL {
        let parent = layout::tier_table(kind, tier);
        let rows = client
            .query(PARTITIONS, &[&parent, &name(parent, first_kept)])
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

    #[test]
    fn partitions_are_days_months_and_years() {
        let date: Date = "2028-02-29".parse().unwrap();
        let spans = Tier::ALL.map(|tier| span(tier, date).unwrap());
        let text = spans.map(|(from, to)| format!("{from} {to}"));
        assert_eq!(
            text,
            [
                "2028-02-29 2028-03-01",
                "2028-02-01 2028-03-01",
                "2028-01-01 2029-01-01"
            ]
        );
        assert!(span(Tier::Day, "9999-12-31".parse().unwrap()).is_err());
    }
}
