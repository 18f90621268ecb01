//! Hours and days: one of the collectors makes them, and says how it goes; each enforces retention.

use crate::support::{Site, database, until};
use jiff::{SignedDuration, Timestamp};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use vmscope_link::Authority;
use vmscope_store::testing::{self, Database, Fleet};
use vmscope_store::{Flavor, collector as collectors, system};

/// Two hosts with two VMs each, of which each has a processor, a disk and an interface.
const FLEET: Fleet = Fleet {
    first: 1,
    hosts: 2,
    vms: 2,
    devices: 1,
};

/// How many things have samples in it.
const THINGS: u64 = 2 + 4 + 4 * 3;

/// Three hours of samples, some days ago.
async fn fill(database: &Database, days: i64) {
    let store = database.store();
    let hosts = testing::make_known(store, FLEET).await.expect("known");
    let hour = Timestamp::now().as_second() / 3600;
    let from = Timestamp::from_second(hour * 3600).expect("a time") - SignedDuration::from_hours(24 * days);
    let span = (from, from + SignedDuration::from_hours(3));
    testing::fill(store, &hosts, span, 300).await.expect("filled");
}

async fn hours(site: &Site) -> u64 {
    site.metric("vmscope_collector_rollup_hours_total").await
}

/// What the health page says of a collector's work.
async fn said(database: &Database, collector: &str, work: &str) -> Option<(bool, String)> {
    let all = collectors::activities(database.store()).await.expect("read");
    let mut found = all
        .into_iter()
        .filter(|one| one.collector == collector && one.name == work);
    found.next().map(|one| (one.done, one.message))
}

async fn count(database: &Database, table: &str) -> i64 {
    let client = database.client().await.expect("connected");
    let query = format!("SELECT count(*) FROM {table}");
    client.query_one(&query, &[]).await.expect("counted").get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_collectors_makes_the_hours_and_both_say_how_it_goes() {
    for flavor in [Flavor::Timescale, Flavor::Postgres] {
        let database = database(flavor).await;
        fill(&database, 2).await;
        let authority = Arc::new(Authority::create("test").expect("an authority"));
        let north = Site::start_as("north", Arc::clone(&authority), database.url(), |_| {}).await;
        let south = Site::start_as("south", authority, database.url(), |_| {}).await;
        until("hours", async || {
            hours(&north).await + hours(&south).await == 3 * THINGS
        })
        .await;
        for name in ["north", "south"] {
            until("word of rollups", async || {
                said(&database, name, "rollup").await.is_some()
            })
            .await;
            let (done, message) = said(&database, name, "rollup").await.expect("said");
            assert!(done, "{message}");
        }
        assert_eq!(hours(&north).await + hours(&south).await, 3 * THINGS);
        assert_eq!(count(&database, "vm_hour").await, 3 * 4);
        assert!(count(&database, "vm_day").await >= 4);
        for site in [north, south] {
            // The other one may have looked while this one was at it.
            if hours(&site).await > 0 {
                assert_eq!(site.metric("vmscope_collector_rollup_lag_seconds").await, 0);
            }
            assert_eq!(site.metric("vmscope_collector_rollup_failures_total").await, 0);
            site.stop().await;
        }
        database.close().await.expect("dropped");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tier_has_its_own_retention_and_the_size_its_limit() {
    let database = database(Flavor::Postgres).await;
    fill(&database, 9).await;
    let days = |days| NonZeroU32::new(days).expect("some");
    let site = Site::start_with(database.url(), |config| {
        config.retention.raw_days = days(3);
        config.retention.hourly_days = days(400);
        config.database.capacity_bytes = NonZeroU64::new(1 << 40);
    })
    .await;
    // Whichever comes first, rollup or retention: what is older than the grace goes.
    until("retention", async || count(&database, "vm_sample").await == 0).await;
    until("word of it", async || {
        said(&database, "test", "retention").await.is_some()
    })
    .await;
    let (done, message) = said(&database, "test", "retention").await.expect("said");
    assert!(done && message.contains("tables of samples"), "{message}");
    until("a size", async || {
        system::database(database.store())
            .await
            .expect("read")
            .newest
            .is_some()
    })
    .await;
    let seen = system::database(database.store()).await.expect("read");
    assert_eq!(seen.capacity_bytes, Some(1 << 40));
    site.stop().await;
    database.close().await.expect("dropped");
}
