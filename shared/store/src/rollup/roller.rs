//! One turn of rollups: which hosts are due, and what is done for each.

use super::bucket::{self, LOOKBACK_US, Task};
use super::fold::ClockStep;
use super::lock;
use super::things::Things;
use super::write::Buckets;
use crate::schema::Flavor;
use crate::schema::layout;
use crate::schema::partition::{self, Day};
use crate::tier::hour_of;
use crate::{Error, Store, Tier, instant, pool};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::time::Duration;
use tokio_postgres::{Client, Transaction};
use vmscope_model::Kind;

/// The longest that one statement may run on the server.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(10);

/// So many seconds an hour stays open after its end: until then most of its ticks have come.
pub(super) const OPEN_S: i64 = 30;

/// How many things are read at once: their buckets are in memory until they are written.
const THINGS: usize = 64;

/// When more days than these are between the oldest sample and now, it is looked which of them have samples.
const NEAR_DAYS: i64 = 3;

const HOUR_US: i64 = Tier::Hour.bucket_us();
const DAY_US: i64 = Tier::Day.bucket_us();

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rolled {
    /// Rows of samples read.
    pub rows: u64,
    /// Hours written, each of one thing.
    pub hours: u64,
    /// Days written, each of one thing.
    pub days: u64,
    /// Hours of the host that were left as they are, because retention has removed a part of their samples.
    pub refused: u64,
}

impl AddAssign for Rolled {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.hours += other.hours;
        self.days += other.days;
        self.refused += other.refused;
    }
}

/// Makes rollups, over a connection of its own that holds the lock. After a failed call, begin anew.
#[derive(Debug)]
pub struct Roller {
    client: Client,
    flavor: Flavor,
    /// Partitions that are known to exist, by a day in them.
    partitions: BTreeSet<(Tier, Day)>,
}

/// Hours of one day.
#[derive(Debug, Clone, Copy)]
struct Window {
    from_us: i64,
    to_us: i64,
}

impl Roller {
    /// Connects and takes the lock; `None` when another one has it.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn begin(store: &Store) -> Result<Option<Self>, Error> {
        let mut config = store.config().clone();
        pool::set_limits(&mut config, STATEMENT_TIMEOUT);
        let client = pool::connect(&config).await?;
        if !lock::take(&client).await? {
            return Ok(None);
        }
        let flavor = Flavor::of(&client).await?;
        Ok(Some(Self {
            client,
            flavor,
            partitions: BTreeSet::new(),
        }))
    }

    /// Gives the lock back. Without it, it ends with the connection, a moment after this is dropped.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn end(self) -> Result<(), Error> {
        lock::give_back(&self.client).await
    }

    /// The hosts with hours that are over and not made, by database id. Those that come first have the least to do: a host
    /// that was away for long holds up nobody.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn due(&self) -> Result<Vec<i32>, Error> {
        const DUE: &str = "\
-- rollup_due
SELECT host_id FROM ingest_progress WHERE dirty_from < $1 OR rolling_from IS NOT NULL
GROUP BY host_id ORDER BY min(least(dirty_from, rolling_from)) DESC, host_id";
        let open = open_hour(&self.client).await?;
        let rows = self
            .client
            .query(DUE, &[&open])
            .await
            .map_err(Error::statement("rollup_due"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Makes a host's hours that are over and its days, from the oldest one that lacks samples.
    ///
    /// # Errors
    /// The database's failures; what was made of earlier days stays.
    pub async fn roll(&mut self, host_id: i32) -> Result<Rolled, Error> {
        let open = open_hour(&self.client).await?;
        let mut rolled = Rolled::default();
        let Some(from) = take_over(&mut self.client, host_id, open).await? else {
            return Ok(rolled);
        };
        let things = Things::of(&self.client, host_id).await?;
        for window in self.windows(hour_of(from), open).await? {
            rolled += self.window(host_id, &things, window).await?;
        }
        done(&self.client, host_id, None).await?;
        Ok(rolled)
    }

    /// The days with samples, from the one of `from` to that of `open`.
    async fn windows(&self, from: Timestamp, open: Timestamp) -> Result<Vec<Window>, Error> {
        let (from_us, open_us) = (from.as_microsecond(), open.as_microsecond());
        let first_us = from_us - from_us.rem_euclid(DAY_US);
        let days: BTreeSet<i64> = if open_us - first_us <= NEAR_DAYS * DAY_US {
            (0..=NEAR_DAYS).map(|day| first_us + day * DAY_US).collect()
        } else {
            self.sampled_days().await?
        };
        let window = |day_us: i64| Window {
            from_us: day_us.max(from_us),
            to_us: (day_us + DAY_US).min(open_us),
        };
        Ok(days
            .into_iter()
            .map(window)
            .filter(|window| window.from_us < window.to_us)
            .collect())
    }

    /// When the days begin for which there are chunks or partitions of samples.
    async fn sampled_days(&self) -> Result<BTreeSet<i64>, Error> {
        const CHUNKS: &str = "\
-- sampled_chunks
SELECT DISTINCT range_start FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = ANY ($1)";
        const PARTITIONS: &str = "\
-- sampled_partitions
SELECT DISTINCT (right(c.relname, 8) || ' 00:00Z')::timestamptz FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = ANY (SELECT to_regclass(t) FROM unnest($1::text[]) AS t)";
        let (statement, operation) = match self.flavor {
            Flavor::Timescale => (CHUNKS, "sampled_chunks"),
            Flavor::Postgres => (PARTITIONS, "sampled_partitions"),
        };
        let tables: Vec<&str> = Kind::ALL.map(layout::table).to_vec();
        let rows = self
            .client
            .query(statement, &[&tables])
            .await
            .map_err(Error::statement(operation))?;
        Ok(rows
            .iter()
            .map(|row| row.get::<_, Timestamp>(0).as_microsecond())
            .collect())
    }

    /// Makes the hours of a window and the day that they are in.
    async fn window(&mut self, host_id: i32, things: &Things, window: Window) -> Result<Rolled, Error> {
        self.make_partitions(window).await?;
        let transaction = self
            .client
            .transaction()
            .await
            .map_err(Error::statement("begin"))?;
        let mut rolled = Rolled::default();
        let from_us = first_whole(&transaction)
            .await?
            .map_or(window.from_us, |first| first.max(window.from_us));
        if from_us > window.from_us {
            rolled.refused = hours_between(window.from_us, from_us.min(window.to_us));
        }
        if from_us < window.to_us {
            let steps = things.clock_steps(&transaction, from_us, window.to_us).await?;
            for (&kind, ids) in &things.ids {
                for (host, ids) in things.by_clock(kind, ids, &steps) {
                    let steps = host
                        .and_then(|host| steps.get(&host))
                        .map_or(&[][..], Vec::as_slice);
                    for ids in ids.chunks(THINGS) {
                        let task = Task {
                            kind,
                            ids,
                            from_us,
                            to_us: window.to_us,
                        };
                        rolled += make(&transaction, task, steps).await?;
                    }
                }
            }
        }
        done(&transaction, host_id, Some(window.to_us)).await?;
        transaction.commit().await.map_err(Error::statement("commit"))?;
        Ok(rolled)
    }

    async fn make_partitions(&mut self, window: Window) -> Result<(), Error> {
        if self.flavor == Flavor::Postgres {
            let day = Day::of(window.from_us);
            for tier in Tier::ROLLED {
                if self.partitions.insert((tier, day)) {
                    partition::make(&mut self.client, tier, &[day]).await?;
                }
            }
        }
        Ok(())
    }
}

/// Makes hours, and the day that they are in when there are any.
async fn make(transaction: &Transaction<'_>, task: Task<'_>, steps: &[ClockStep]) -> Result<Rolled, Error> {
    let mut hours = Buckets::new(task.kind, Tier::Hour);
    let rows = bucket::hours(transaction, task, steps, &mut hours).await?;
    let mut rolled = Rolled {
        rows,
        hours: hours.write(transaction).await?,
        ..Rolled::default()
    };
    if rolled.hours > 0 {
        let day_us = task.from_us - task.from_us.rem_euclid(DAY_US);
        let mut days = Buckets::new(task.kind, Tier::Day);
        let day = Task {
            from_us: day_us,
            to_us: day_us + DAY_US,
            ..task
        };
        bucket::days(transaction, day, &mut days).await?;
        rolled.days = days.write(transaction).await?;
    }
    Ok(rolled)
}

fn hours_between(from_us: i64, to_us: i64) -> u64 {
    u64::try_from((to_us - from_us) / HOUR_US).unwrap_or(0)
}

/// The hour that is not over, by the database's clock.
pub(super) async fn open_hour(client: &Client) -> Result<Timestamp, Error> {
    const OPEN_HOUR: &str = "\
-- open_hour
SELECT now() - make_interval(secs => $1::int8::float8)";
    let row = client
        .query_one(OPEN_HOUR, &[&OPEN_S])
        .await
        .map_err(Error::statement("open_hour"))?;
    Ok(hour_of(row.get(0)))
}

/// Takes over from when on a host's hours have to be made; `None` when there is nothing to do.
///
/// Locks the marks in the order in which ingest does, and shortly. What it leaves for the next time is the open hour, if
/// there may be ticks of it.
async fn take_over(client: &mut Client, host_id: i32, open: Timestamp) -> Result<Option<Timestamp>, Error> {
    const LOCK_DIRTY: &str = "\
-- lock_dirty
SELECT FROM ingest_progress WHERE host_id = $1 ORDER BY epoch FOR UPDATE";
    const TAKE_OVER: &str = "\
-- take_over
UPDATE ingest_progress SET rolling_from = least(rolling_from, dirty_from),
    dirty_from = CASE WHEN last_tick_at >= $2 THEN $2 END
WHERE host_id = $1 AND dirty_from < $2";
    const ROLLING_FROM: &str = "\
-- rolling_from
SELECT min(rolling_from) FROM ingest_progress WHERE host_id = $1";
    let transaction = client.transaction().await.map_err(Error::statement("begin"))?;
    transaction
        .execute(LOCK_DIRTY, &[&host_id])
        .await
        .map_err(Error::statement("lock_dirty"))?;
    transaction
        .execute(TAKE_OVER, &[&host_id, &open])
        .await
        .map_err(Error::statement("take_over"))?;
    let row = transaction
        .query_one(ROLLING_FROM, &[&host_id])
        .await
        .map_err(Error::statement("rolling_from"))?;
    transaction.commit().await.map_err(Error::statement("commit"))?;
    Ok(row.get(0))
}

/// Notes up to when the host's hours are made; all, when there is no moment. Locks the marks in the order in which ingest does.
async fn done(
    client: &impl tokio_postgres::GenericClient,
    host_id: i32,
    until_us: Option<i64>,
) -> Result<(), Error> {
    const ROLLED: &str = "\
-- rolled
UPDATE ingest_progress p SET rolling_from = $2
FROM (SELECT epoch FROM ingest_progress WHERE host_id = $1 AND rolling_from IS NOT NULL ORDER BY epoch FOR UPDATE) l
WHERE p.host_id = $1 AND p.epoch = l.epoch";
    let until = until_us.map(instant::timestamp).transpose()?;
    client
        .execute(ROLLED, &[&host_id, &until])
        .await
        .map(drop)
        .map_err(Error::statement("rolled"))
}

/// The first hour of which retention has removed no sample, nor any that its first intervals begin with. Holds a share of the
/// answer until the transaction ends: retention waits with moving on.
async fn first_whole(transaction: &Transaction<'_>) -> Result<Option<i64>, Error> {
    const RAW_FROM: &str = "\
-- raw_from
SELECT kept_from FROM tier WHERE name = 'raw' FOR SHARE";
    let row = transaction
        .query_one(RAW_FROM, &[])
        .await
        .map_err(Error::statement("raw_from"))?;
    let kept_from: Option<Timestamp> = row.get(0);
    Ok(kept_from.map(|kept_from| {
        let first_us = kept_from.as_microsecond() + LOOKBACK_US;
        first_us + (-first_us).rem_euclid(HOUR_US)
    }))
}
