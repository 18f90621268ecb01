//! Every bucket of every tier is what its definition says, in whatever order samples come and however often rollups run.

use super::naive::{self, Expected, HOUR_US};
use super::roll;
use super::scenario::Scenario;
use crate::fixture::count;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Client, Row};
use vmscope_model::metric::Behaviour;
use vmscope_model::{Kind, Metric};
use vmscope_store::ingest::Writer;
use vmscope_store::rollup::rolled_until;
use vmscope_store::series::{self, Function, Query, Step};
use vmscope_store::testing::Database;
use vmscope_store::{Tier, on_both_flavors};

fn moment(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

/// The rows of a table: what each says of a metric, by thing and beginning.
async fn stored(client: &Client, table: &str, metric: &Metric) -> BTreeMap<(i32, i64), Expected> {
    let name = metric.name;
    let columns = match metric.behaviour {
        Behaviour::State(_) => format!("{name}_last, {name}_codes, {name}_seconds"),
        _ => format!("{name}_min, {name}_max, {name}_last, {name}_avg, {name}_weight"),
    };
    let query = format!("SELECT entity_id, time, {columns} FROM {table} WHERE {name}_last IS NOT NULL");
    let row = |row: &Row| {
        let time: Timestamp = row.get(1);
        let found = if let Behaviour::State(_) = metric.behaviour {
            let (codes, seconds): (Vec<i16>, Vec<f32>) = (row.get(3), row.get(4));
            assert!(codes.is_sorted(), "{codes:?}");
            Expected::State(
                row.get(2),
                codes
                    .into_iter()
                    .zip(seconds.into_iter().map(f64::from))
                    .collect(),
            )
        } else {
            Expected::Number([2, 3, 4, 5, 6].map(|column| f64::from(row.get::<_, f32>(column))))
        };
        ((row.get(0), time.as_microsecond()), found)
    };
    client.query(&query, &[]).await.unwrap().iter().map(row).collect()
}

/// Holds the tiers against the account.
async fn assert_exact(database: &Database, scenario: &Scenario, seed: u64) {
    let client = database.client().await.unwrap();
    let mut compared = 0;
    for tier in Tier::ROLLED {
        let length_us = i64::from(tier.bucket_s().unwrap()) * 1_000_000;
        let columns: BTreeSet<(Kind, usize)> = scenario
            .account
            .keys()
            .map(|(kind, _, column)| (*kind, *column))
            .collect();
        for (kind, column) in columns {
            let metric = naive::metric(kind, column);
            let mut expected = BTreeMap::new();
            for ((_, id, _), samples) in scenario
                .account
                .iter()
                .filter(|((of, _, number), _)| (*of, *number) == (kind, column))
            {
                let none = Vec::new();
                let steps = scenario.steps.get(&(kind, *id)).unwrap_or(&none);
                let begins: BTreeSet<i64> = samples
                    .keys()
                    .map(|time| time - time.rem_euclid(length_us))
                    .collect();
                for begin in begins {
                    let hours: Vec<i64> = (0..length_us / HOUR_US)
                        .map(|hour| begin + hour * HOUR_US)
                        .collect();
                    if let Some(bucket) = naive::bucket(metric, samples, &hours, steps) {
                        expected.insert((*id, begin), bucket);
                    }
                }
            }
            let found = stored(&client, &format!("{kind}_{}", tier.name()), metric).await;
            let context = format!("seed {seed} {kind} {} {}", metric.name, tier.name());
            assert!(
                found.keys().eq(expected.keys()),
                "{context}: {} {}",
                found.len(),
                expected.len()
            );
            for (key, expected) in &expected {
                assert!(
                    naive::is_close(&found[key], expected),
                    "{context} {key:?}: {:?} is not {expected:?}",
                    found[key]
                );
            }
            compared += expected.len();
        }
    }
    assert!(compared > 500, "{compared}");
}

/// Delivers what comes, rolls now and then, and compares at the end.
async fn hold_to_account(database: &Database, seed: u64, from: &str) {
    let from_us = moment(from);
    let scenario = Scenario::make(database.store(), seed, from_us, 50).await;
    let mut random = StdRng::seed_from_u64(seed);
    let mut writer = Writer::connect(database.url()).await.unwrap();
    let mut turns = 0;
    for batch in &scenario.batches {
        writer.commit(std::slice::from_ref(batch)).await.unwrap();
        if random.random_ratio(1, 6) {
            turns += 1;
            roll(database.store()).await;
        }
    }
    let rolled = roll(database.store()).await;
    assert!(turns > 0, "{rolled:?}");
    assert_exact(database, &scenario, seed).await;
    let ids: Vec<i32> = scenario
        .account
        .keys()
        .filter(|key| key.0 == Kind::Vm)
        .map(|key| key.1)
        .collect();
    assert_eq!(
        rolled_until(database.store(), Kind::Vm, &ids).await.unwrap(),
        BTreeMap::new().into_iter().collect()
    );
    assert_eq!(roll(database.store()).await.rows, 0, "all is made");
    assert_eq!(
        count(database, "ingest_progress WHERE dirty_from IS NOT NULL").await,
        0
    );
}

on_both_flavors! {
    async fn over_a_leap_day(database: Database) {
        hold_to_account(&database, 1, "2024-02-28T20:30:00Z").await;
    }

    async fn while_clocks_on_walls_are_set_forward(database: Database) {
        hold_to_account(&database, 2, "2026-03-28T13:00:00Z").await;
    }

    async fn while_clocks_on_walls_are_set_back(database: Database) {
        hold_to_account(&database, 3, "2025-10-25T02:10:00Z").await;
    }

    async fn over_the_end_of_a_year(database: Database) {
        hold_to_account(&database, 4, "2025-12-30T23:45:00Z").await;
    }

    async fn an_hour_is_what_the_series_of_that_hour_says(database: Database) {
        let from_us = moment("2026-11-20T00:00:00Z");
        let scenario = Scenario::make(database.store(), 5, from_us, 12).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        for batch in &scenario.batches {
            writer.commit(std::slice::from_ref(batch)).await.unwrap();
        }
        roll(database.store()).await;
        let client = database.client().await.unwrap();
        for (kind, id, column) in scenario.account.keys().filter(|key| key.0 == Kind::Vm) {
            let metric = naive::metric(*kind, *column);
            if let Behaviour::State(_) = metric.behaviour {
                continue;
            }
            let hours = stored(&client, "vm_hour", metric).await;
            for hour in 0..12 {
                let begin = from_us + hour * HOUR_US;
                let at = |time_us| Timestamp::from_microsecond(time_us).unwrap();
                let ask = async |function| {
                    let query = Query {
                        kind: *kind,
                        entity_id: *id,
                        metrics: vec![*column],
                        from: at(begin),
                        to: at(begin + HOUR_US),
                        step: Step::Seconds(3600),
                        function,
                        max_values: 1,
                    };
                    let found = series::query(database.store(), &query).await.unwrap().values[0][0];
                    found.map(|value| value * metric.divisor() / f64::from(i32::try_from(metric.scale).unwrap()))
                };
                let [min, max, last, avg] =
                    [ask(Function::Min).await, ask(Function::Max).await, ask(Function::Last).await, ask(Function::Avg).await];
                match hours.get(&(*id, begin)) {
                    Some(Expected::Number(found)) => {
                        let asked = [min, max, last, avg].map(Option::unwrap);
                        let weighed = Expected::Number([asked[0], asked[1], asked[2], asked[3], found[4]]);
                        assert!(naive::is_close(&Expected::Number(*found), &weighed), "{found:?} is not {asked:?}");
                    }
                    _ => assert_eq!([min, max, last, avg], [None; 4]),
                }
            }
        }
    }
}
