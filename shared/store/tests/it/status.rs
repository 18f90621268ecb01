//! What collectors say of themselves, and the size of the database.

use crate::fixture::{NOON_US, count};
use jiff::Timestamp;
use std::time::Duration;
use vmscope_store::collector::{self, Activity, Introduction, Pulse};
use vmscope_store::size::{self, Capacity};
use vmscope_store::{on_both_flavors, system};

fn introduction(name: &str, started_us: i64) -> Introduction {
    Introduction {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        address: "192.0.2.1:8785".to_owned(),
        started_at: Timestamp::from_microsecond(started_us).unwrap(),
        writers: 2,
    }
}

fn activity(collector: &str, done: bool, took_ms: i64) -> Activity {
    Activity {
        collector: collector.to_owned(),
        name: "retention".to_owned(),
        done,
        message: "3 tables".to_owned(),
        began_at: Timestamp::from_microsecond(NOON_US).unwrap(),
        took_ms,
    }
}

on_both_flavors! {
    async fn collectors_show_their_last_heartbeat(database: Database) {
        let store = database.store();
        let (north, south) = (introduction("north", NOON_US), introduction("south", NOON_US));
        for one in [&south, &north] {
            collector::introduce(store, one).await.unwrap();
        }
        let pulse = Pulse {
            sessions: 7,
            rows_in_flight: 4_000,
            queue_frames: 3,
            rows_total: 1 << 40,
            rows_per_s: 25_000.5,
            commit_mean_ms: Some(12.5),
            commit_max_ms: Some(80.0),
        };
        assert!(collector::beat(store, &north, &pulse).await.unwrap());
        let seen = collector::list(store).await.unwrap();
        assert_eq!(seen.iter().map(|one| &one.introduction).collect::<Vec<_>>(), [&north, &south]);
        assert_eq!((seen[0].pulse, seen[0].alive), (pulse, true));
        assert_eq!((seen[1].pulse, seen[1].stopped_at), (Pulse::default(), None));

        collector::stopped(store, &north).await.unwrap();
        let client = database.client().await.unwrap();
        let silent = "UPDATE collector SET heartbeat_at = now() - interval '16 s' WHERE name = 'south'";
        client.batch_execute(silent).await.unwrap();
        let seen = collector::list(store).await.unwrap();
        assert!(seen[0].stopped_at.is_some() && seen.iter().all(|one| !one.alive));
    }

    async fn a_later_run_takes_the_name_over(database: Database) {
        let store = database.store();
        let (first, second) = (introduction("north", NOON_US), introduction("north", NOON_US + 1));
        collector::introduce(store, &first).await.unwrap();
        collector::introduce(store, &second).await.unwrap();
        assert!(!collector::beat(store, &first, &Pulse::default()).await.unwrap());
        assert!(collector::beat(store, &second, &Pulse::default()).await.unwrap());
        collector::stopped(store, &first).await.unwrap();
        assert!(collector::list(store).await.unwrap()[0].alive);
    }

    async fn collectors_silent_for_a_month_are_forgotten(database: Database) {
        let store = database.store();
        collector::introduce(store, &introduction("gone", NOON_US)).await.unwrap();
        collector::record(store, &activity("gone", true, 1)).await.unwrap();
        let client = database.client().await.unwrap();
        client.batch_execute("UPDATE collector SET heartbeat_at = now() - interval '31 days'").await.unwrap();
        collector::introduce(store, &introduction("north", NOON_US)).await.unwrap();
        assert_eq!(collector::list(store).await.unwrap().len(), 1);
        assert_eq!(collector::activities(store).await.unwrap(), []);
    }

    async fn activities_show_their_last_turn(database: Database) {
        let store = database.store();
        for name in ["north", "south"] {
            collector::introduce(store, &introduction(name, NOON_US)).await.unwrap();
        }
        collector::record(store, &activity("south", true, 5)).await.unwrap();
        collector::record(store, &activity("north", true, 5)).await.unwrap();
        collector::record(store, &activity("north", false, 6)).await.unwrap();
        let seen = collector::activities(store).await.unwrap();
        assert_eq!(seen, [activity("north", false, 6), activity("south", true, 5)]);
    }

    async fn one_of_many_measures_the_size(database: Database) {
        let spacing = Duration::from_mins(4);
        let measuring: Vec<_> = (0..4)
            .map(|_| {
                let store = database.store().clone();
                tokio::spawn(async move { size::measure(&store, spacing, Capacity::Unknown).await })
            })
            .collect();
        let mut measured = Vec::new();
        for one in measuring {
            measured.extend(one.await.unwrap().unwrap());
        }
        assert_eq!(measured.len(), 1);
        assert!(measured[0].bytes > 1 << 20);
        let client = database.client().await.unwrap();
        let older = "INSERT INTO database_size (at, bytes)
            VALUES (now() - interval '91 days', 1), (now() - interval '89 days', 2)";
        client.batch_execute(older).await.unwrap();
        assert_eq!(size::measure(database.store(), spacing, Capacity::Unknown).await.unwrap(), None);
        assert_eq!(count(&database, "database_size").await, 2);
        let (all, end) = (Timestamp::UNIX_EPOCH, measured[0].at);
        let kept: Vec<i64> =
            size::list(database.store(), all, end).await.unwrap().iter().map(|size| size.bytes).collect();
        assert_eq!(kept, [2, measured[0].bytes]);
        client.batch_execute("DELETE FROM database_size WHERE bytes > 2").await.unwrap();
        assert_eq!(system::database(database.store()).await.unwrap().capacity_bytes, None);
        assert!(size::measure(database.store(), spacing, Capacity::Bytes(1 << 40)).await.unwrap().is_some());
        assert_eq!(system::database(database.store()).await.unwrap().capacity_bytes, Some(1 << 40));
        client.batch_execute("DELETE FROM database_size WHERE bytes > 2").await.unwrap();
        let size = size::measure(database.store(), spacing, Capacity::Free(1 << 40)).await.unwrap().unwrap();
        let capacity = system::database(database.store()).await.unwrap().capacity_bytes;
        assert_eq!(capacity, Some(size.bytes + (1 << 40)));
    }
}
