//! Each tier goes when its time is over, by whole chunks or partitions, and never before.

use crate::fixture::{DAY_US, batch, count, known, tick};
use crate::rollup::roll;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::time::Duration;
use vmscope_model::{Cause, Gap, Group, Kind, Tick, catalogue};
use vmscope_store::ingest::Writer;
use vmscope_store::retention::{self, Keep};
use vmscope_store::testing::{self, Database};
use vmscope_store::{Flavor, Tier, on_both_flavors, rollup};

const fn days(number: u64) -> Duration {
    Duration::from_hours(24 * number)
}

/// A week of samples, two months of hours, two years of days.
const KEEP: Keep = Keep {
    raw: days(7),
    hour: days(60),
    day: days(730),
};

fn row(vm_id: i32, time_us: i64) -> Tick {
    tick(
        time_us,
        Kind::Vm,
        &[(
            vm_id,
            &[
                (catalogue::vm::CPU_TIME_NS, 1),
                (catalogue::vm::MEMORY_USED_BYTES, 7),
            ],
        )],
    )
}

/// The beginning of the day that many days ago.
fn day_us(ago: i64) -> i64 {
    let now_us = Timestamp::now().as_microsecond();
    now_us - now_us.rem_euclid(DAY_US) - ago * DAY_US
}

/// Stores a sample at noon of each of these days ago, by a run of its own.
async fn store(database: &Database, epoch: u64, ago: impl IntoIterator<Item = i64>) -> i32 {
    let (host_id, vm_ids) = known(database.store(), 1, 1).await;
    let ticks = ago
        .into_iter()
        .map(|ago| row(vm_ids[0], day_us(ago) + DAY_US / 2));
    let ticks = (1..).zip(ticks).collect();
    let mut writer = Writer::connect(database.url()).await.unwrap();
    writer.commit(&[batch(host_id, epoch, ticks)]).await.unwrap();
    vm_ids[0]
}

/// How many days ago the rows of a table are.
async fn days_ago(database: &Database, table: &str) -> Vec<i64> {
    let today = Timestamp::from_microsecond(day_us(0)).unwrap();
    let query = format!(
        "SELECT extract(day FROM $1 - date_trunc('day', time, 'UTC'))::int8 FROM {table} ORDER BY time DESC"
    );
    let client = database.client().await.unwrap();
    client
        .query(&query, &[&today])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

on_both_flavors! {
    async fn samples_go_by_days_once_they_are_rolled(database: Database) {
        store(&database, 1, (1..=12).rev()).await;
        roll(database.store()).await;
        let removed = retention::enforce(database.store(), &KEEP).await.unwrap();
        assert!(removed.tables[0] >= 5 && !removed.waits, "{removed:?}");
        // Of the day that began a week ago a part is a week old.
        assert_eq!(days_ago(&database, "vm_sample").await, (1..=7).collect::<Vec<_>>());
        assert_eq!(days_ago(&database, "vm_hour").await, (1..=12).collect::<Vec<_>>());
        assert_eq!(days_ago(&database, "vm_day").await, (1..=12).collect::<Vec<_>>());
        let again = retention::enforce(database.store(), &KEEP).await.unwrap();
        assert_eq!(again.tables, [0; 3]);
        let [raw, hour, _] = rollup::kept_from(database.store()).await.unwrap();
        assert_eq!(raw.unwrap().as_microsecond(), day_us(7));
        assert_eq!(hour.unwrap().as_microsecond(), day_us(60));
    }

    async fn samples_wait_for_their_rollup_but_not_for_ever(database: Database) {
        store(&database, 1, (1..=12).rev()).await;
        let removed = retention::enforce(database.store(), &KEEP).await.unwrap();
        assert!(removed.waits, "{removed:?}");
        assert_eq!(days_ago(&database, "vm_sample").await, (1..=9).collect::<Vec<_>>());
        // What is left is made into hours; of the first day the first hour has lost what was before it.
        let rolled = roll(database.store()).await;
        assert_eq!(rolled.hours, 9);
        assert!(rolled.refused > 0, "{rolled:?}");
        assert!(!retention::enforce(database.store(), &KEEP).await.unwrap().waits);
        assert_eq!(days_ago(&database, "vm_sample").await, (1..=7).collect::<Vec<_>>());
    }

    async fn what_comes_in_for_a_day_that_is_gone_leaves_its_hours_as_they_are(database: Database) {
        let vm_id = store(&database, 1, (1..=12).rev()).await;
        roll(database.store()).await;
        retention::enforce(database.store(), &KEEP).await.unwrap();
        assert_eq!(store(&database, 2, [10]).await, vm_id);
        assert_eq!(days_ago(&database, "vm_sample").await.len(), 8, "a day that is gone is made again");
        let rolled = roll(database.store()).await;
        assert!(rolled.refused > 0, "{rolled:?}");
        let hour = "vm_hour WHERE memory_used_bytes_weight <> 1";
        assert_eq!(count(&database, hour).await, 0);
        assert_eq!(days_ago(&database, "vm_hour").await.len(), 12);
        // Nothing waits for it, and it goes with the next turn.
        assert!(!retention::enforce(database.store(), &KEEP).await.unwrap().waits);
        assert_eq!(days_ago(&database, "vm_sample").await.len(), 7);
    }

    async fn hours_go_by_months_and_days_by_years(database: Database) {
        let store = database.store();
        let at = |ago| Timestamp::from_microsecond(day_us(ago)).unwrap();
        for (tier, ago) in [(Tier::Hour, 200), (Tier::Day, 2000)] {
            testing::fill_tier(store, (Kind::Vm, tier), &[1], (at(ago), at(0))).await.unwrap();
        }
        let removed = retention::enforce(store, &KEEP).await.unwrap();
        assert!(removed.tables[1] > 0 && removed.tables[2] > 0, "{removed:?}");
        for (table, keep_days, chunk_days) in [("vm_hour", 60, 30), ("vm_day", 730, 365)] {
            let cutoff = at(keep_days);
            let date = cutoff.to_zoned(TimeZone::UTC).date();
            let first = match store.flavor().await.unwrap() {
                // Chunks are counted from the epoch.
                Flavor::Timescale => {
                    let chunk_us = chunk_days * DAY_US;
                    Timestamp::from_microsecond(day_us(keep_days) / chunk_us * chunk_us).unwrap()
                }
                Flavor::Postgres => {
                    let first = if table == "vm_hour" { date.first_of_month() } else { date.first_of_year() };
                    first.to_zoned(TimeZone::UTC).unwrap().timestamp()
                }
            };
            let query = format!("SELECT min(time), max(time) >= $1 FROM {table}");
            let yesterday = at(0).checked_sub(24.hours()).unwrap();
            let row = database.client().await.unwrap().query_one(&query, &[&yesterday]).await.unwrap();
            assert_eq!((row.get::<_, Timestamp>(0), row.get(1)), (first, true), "{table}");
        }
        assert_eq!(retention::enforce(store, &KEEP).await.unwrap().tables, [0; 3]);
    }

    async fn gaps_stay_as_long_as_the_longest_tier(database: Database) {
        let (host_id, vm_ids) = known(database.store(), 1, 1).await;
        let mut telling = row(vm_ids[0], day_us(1));
        telling.gaps.extend([1, 100, 900].map(|ago| Gap {
            vm: None,
            group: Group::Host,
            cause: Cause::Deadline,
            from_us: day_us(ago),
            to_us: day_us(ago),
            ticks: 1,
            lost: None,
        }));
        Writer::connect(database.url()).await.unwrap().commit(&[batch(host_id, 1, vec![(1, telling)])]).await.unwrap();
        assert_eq!(retention::enforce(database.store(), &KEEP).await.unwrap().gaps, 1);
        assert_eq!(count(&database, "gap").await, 2);
    }

    async fn marks_go_with_the_samples_of_their_run_except_the_newest(database: Database) {
        store(&database, 1, [10]).await;
        store(&database, 2, [9]).await;
        roll(database.store()).await;
        assert_eq!(retention::enforce(database.store(), &KEEP).await.unwrap().marks, 1);
        assert_eq!(count(&database, "ingest_progress WHERE epoch = 2").await, 1);
    }
}
