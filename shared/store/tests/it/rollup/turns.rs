//! What comes between: late ticks, hours that are open, VMs that move, others that roll, connections that die.

use super::{assert_as_the_samples_are, roll};
use crate::fixture::{FENCE, NOON_US, SECOND_US, batch, count, known, opening, tick};
use jiff::Timestamp;
use std::collections::HashMap;
use vmscope_model::catalogue::vm;
use vmscope_model::{Entity, Kind};
use vmscope_store::ingest::{HostBatch, Writer};
use vmscope_store::rollup::{self, Roller, rolled_until};
use vmscope_store::testing::{self, Database, Fleet};
use vmscope_store::{entity, on_both_flavors, session};

const HOUR_US: i64 = 3600 * SECOND_US;

/// A gauge's value at each of these seconds after noon.
fn gauge(vm_id: i32, seconds: &[i64], value: i64) -> Vec<(u64, vmscope_model::Tick)> {
    let tick = |second: &i64| {
        tick(
            NOON_US + second * SECOND_US,
            Kind::Vm,
            &[(vm_id, &[(vm::MEMORY_USED_BYTES, value)])],
        )
    };
    (1..).zip(seconds.iter().map(tick)).collect()
}

async fn commit(database: &Database, batches: &[HostBatch]) {
    Writer::connect(database.url())
        .await
        .unwrap()
        .commit(batches)
        .await
        .unwrap();
}

/// Mean and weight of the gauge in each hour and day, by table and hours after noon.
async fn means(database: &Database, vm_id: i32) -> Vec<(String, f32, f32)> {
    let query = "SELECT 'hour ' || to_char(time AT TIME ZONE 'UTC', 'DD HH24') AS at, memory_used_bytes_avg, memory_used_bytes_weight
        FROM vm_hour WHERE entity_id = $1
        UNION ALL SELECT 'day ' || to_char(time AT TIME ZONE 'UTC', 'DD'), memory_used_bytes_avg, memory_used_bytes_weight
        FROM vm_day WHERE entity_id = $1 ORDER BY at";
    let rows = database
        .client()
        .await
        .unwrap()
        .query(query, &[&vm_id])
        .await
        .unwrap();
    rows.iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect()
}

fn hour(number: i64) -> Timestamp {
    Timestamp::from_microsecond(NOON_US + number * HOUR_US).unwrap()
}

on_both_flavors! {
    async fn what_comes_late_makes_its_hours_and_days_anew(database: Database) {
        let store = database.store();
        let (host_id, vm_ids) = known(store, 1, 1).await;
        let vm = vm_ids[0];
        commit(&database, &[batch(host_id, 1, gauge(vm, &[0, 60, 13 * 3600], 10))]).await;
        let until = rolled_until(store, Kind::Vm, &[vm]).await.unwrap();
        assert_eq!(until, HashMap::from([(vm, hour(0))]));
        roll(store).await;
        assert_eq!(rolled_until(store, Kind::Vm, &[vm]).await.unwrap(), HashMap::new());
        let row = |at: &str, mean, weight| (at.to_owned(), mean, weight);
        let early = [row("day 22", 10.0, 2.0), row("day 23", 10.0, 1.0), row("hour 22 12", 10.0, 2.0), row("hour 23 01", 10.0, 1.0)];
        assert_eq!(means(&database, vm).await, early);
        // Thirty hours in the dark, told by another run.
        commit(&database, &[batch(host_id, 2, gauge(vm, &[30, -17 * 3600], 40))]).await;
        assert_eq!(rolled_until(store, Kind::Vm, &[vm]).await.unwrap()[&vm], hour(-17));
        assert!(rollup::lag(store).await.unwrap().as_secs() > 3600);
        let rolled = roll(store).await;
        assert_eq!((rolled.hours, rolled.days), (3, 3));
        assert_eq!(rollup::lag(store).await.unwrap().as_secs(), 0);
        let late = [
            row("day 21", 40.0, 1.0), row("day 22", 20.0, 3.0), row("day 23", 10.0, 1.0),
            row("hour 21 19", 40.0, 1.0), row("hour 22 12", 20.0, 3.0), row("hour 23 01", 10.0, 1.0),
        ];
        assert_eq!(means(&database, vm).await, late);
    }

    async fn a_sample_at_the_end_of_an_hour_begins_the_first_interval_of_the_next(database: Database) {
        let store = database.store();
        let (host_id, vm_ids) = known(store, 1, 1).await;
        let counter = |second: i64, value: i64| {
            tick(NOON_US + second * SECOND_US, Kind::Vm, &[(vm_ids[0], &[(vm::NET_RX_BYTES, value)])])
        };
        commit(&database, &[batch(host_id, 2, vec![(1, counter(3602, 100)), (2, counter(3612, 200))])]).await;
        roll(store).await;
        let client = database.client().await.unwrap();
        let weight = "SELECT net_rx_bytes_weight::int4 FROM vm_hour WHERE time = '2026-11-22 13:00Z'";
        assert_eq!(client.query_one(weight, &[]).await.unwrap().get::<_, i32>(0), 10);
        commit(&database, &[batch(host_id, 1, vec![(1, counter(3595, 30))])]).await;
        roll(store).await;
        assert_eq!(client.query_one(weight, &[]).await.unwrap().get::<_, i32>(0), 17);
    }

    async fn a_clock_step_told_later_takes_rates_out_again(database: Database) {
        let store = database.store();
        let (host_id, vm_ids) = known(store, 1, 1).await;
        let counter = |second: i64| {
            tick(NOON_US + second * SECOND_US, Kind::Vm, &[(vm_ids[0], &[(vm::NET_RX_BYTES, second)])])
        };
        commit(&database, &[batch(host_id, 1, (0_i64..60).map(|tick| (tick.unsigned_abs() + 1, counter(tick * 10))).collect())]).await;
        roll(store).await;
        let mut telling = counter(2 * 3600);
        telling.gaps.push(vmscope_model::Gap {
            vm: None,
            group: vmscope_model::Group::All,
            cause: vmscope_model::Cause::ClockStep,
            from_us: NOON_US + 95 * SECOND_US,
            to_us: NOON_US + 105 * SECOND_US,
            ticks: 0,
            lost: None,
        });
        commit(&database, &[batch(host_id, 1, vec![(61, telling)])]).await;
        roll(store).await;
        let weight = "SELECT net_rx_bytes_weight::int4 FROM vm_hour WHERE time = '2026-11-22 12:00Z'";
        let row = database.client().await.unwrap().query_one(weight, &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 570, "590 s less the two intervals that the step touches");
    }

    async fn the_open_hour_waits_until_it_is_over(database: Database) {
        let store = database.store();
        let (host_id, vm_ids) = known(store, 1, 1).await;
        let now_us = Timestamp::now().as_microsecond();
        let open_us = now_us - now_us.rem_euclid(HOUR_US);
        let at = |time_us| tick(time_us, Kind::Vm, &[(vm_ids[0], &[(vm::MEMORY_USED_BYTES, 1)])]);
        // An hour ahead, whatever the time is, so that the hour is open.
        let ticks = vec![(1, at(open_us - 2 * HOUR_US)), (2, at(open_us + HOUR_US))];
        commit(&database, &[batch(host_id, 1, ticks)]).await;
        assert_eq!(roll(store).await.hours, 1);
        let until = rolled_until(store, Kind::Vm, &vm_ids).await.unwrap()[&vm_ids[0]].as_microsecond();
        assert!((open_us - HOUR_US..=open_us + HOUR_US).contains(&until), "{until}");
        assert_eq!(count(&database, "vm_hour").await, 1);
        assert_eq!(roll(store).await.rows, 0, "nothing more is due");
    }

    async fn what_an_earlier_host_tells_late_of_a_vm_that_moved_counts(database: Database) {
        let store = database.store();
        let (north, vm_ids) = known(store, 1, 1).await;
        let (south, _) = known(store, 2, 0).await;
        let moved = [Entity::Vm(crate::fixture::vm_uuid(0))];
        assert_eq!(entity::resolve(store, south, &moved).await.unwrap(), vm_ids);
        commit(&database, &[batch(south, 1, gauge(vm_ids[0], &[1800, 1860], 10))]).await;
        roll(store).await;
        assert_eq!(count(&database, &format!("vm WHERE host_id = {south}")).await, 1);
        commit(&database, &[batch(north, 1, gauge(vm_ids[0], &[60], 40))]).await;
        assert_eq!(rolled_until(store, Kind::Vm, &vm_ids).await.unwrap()[&vm_ids[0]], hour(0));
        roll(store).await;
        assert_eq!(means(&database, vm_ids[0]).await[1], ("hour 22 12".to_owned(), 20.0, 3.0));
    }

    async fn one_at_a_time_rolls(database: Database) {
        let store = database.store();
        let first = Roller::begin(store).await.unwrap().unwrap();
        assert!(Roller::begin(store).await.unwrap().is_none());
        first.end().await.unwrap();
        let second = Roller::begin(store).await.unwrap().unwrap();
        // The server gives the lock to others as soon as its holder is gone.
        database.cut_connections().await.unwrap();
        while Roller::begin(store).await.ok().flatten().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(second.due().await.is_err());
    }

    async fn whatever_dies_the_next_turn_goes_on(database: Database) {
        let store = database.store();
        let fleet = Fleet { first: 1, hosts: 2, vms: 3, devices: 1 };
        let hosts = testing::make_known(store, fleet).await.unwrap();
        testing::fill(store, &hosts, (hour(0), hour(40)), 60).await.unwrap();
        let mut cut = 0;
        loop {
            let rolling = {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut roller = Roller::begin(&store).await.ok().flatten()?;
                    for host in roller.due().await.ok()? {
                        roller.roll(host).await.ok()?;
                    }
                    Some(())
                })
            };
            // Some way into the turn: further each time, until a turn gets through.
            let hours = count(&database, "vm_hour").await;
            for _ in 0..cut {
                count(&database, "vm_hour").await;
            }
            if !rolling.is_finished() {
                database.cut_connections().await.unwrap();
                cut += 1;
            }
            let done = rolling.await.unwrap().is_some();
            assert!(count(&database, "vm_hour").await >= hours);
            if done {
                break;
            }
        }
        assert!(cut > 2, "{cut}");
        assert_eq!(count(&database, "vm_hour").await, 2 * 3 * 40);
        assert_eq!(count(&database, "ingest_progress WHERE rolling_from IS NOT NULL").await, 0);
        assert_as_the_samples_are(&database).await;
    }

    async fn rolling_while_samples_come_misses_none(database: Database) {
        let store = database.store();
        let fleet = Fleet { first: 1, hosts: 3, vms: 2, devices: 1 };
        let hosts = testing::make_known(store, fleet).await.unwrap();
        let filling = {
            let (store, hosts) = (store.clone(), hosts.clone());
            tokio::spawn(async move {
                for part in 0..40 {
                    testing::fill(&store, &hosts, (hour(part), hour(part + 1)), 60).await.unwrap();
                    // The hour before again, from the middle on: late.
                    let late = (hour(part - 40), hour(part - 39));
                    testing::fill(&store, &hosts[..1], late, 300).await.unwrap();
                }
            })
        };
        let mut turns = 0;
        while !filling.is_finished() {
            roll(store).await;
            turns += 1;
        }
        filling.await.unwrap();
        roll(store).await;
        assert!(turns > 2, "{turns}");
        assert_eq!(count(&database, "vm_hour").await, 3 * 2 * 40 + 2 * 40);
        assert_as_the_samples_are(&database).await;
    }

    async fn a_clock_of_another_century_costs_little_and_hides_nothing(database: Database) {
        let store = database.store();
        let (host_id, vm_ids) = known(store, 1, 1).await;
        let years = [-24 * 365 * 3600, 0];
        commit(&database, &[batch(host_id, 1, gauge(vm_ids[0], &years, 10))]).await;
        let fence = session::begin(store, &opening(host_id, "north")).await.unwrap();
        assert_eq!(fence, FENCE + 1);
        let rolled = roll(store).await;
        assert_eq!((rolled.rows, rolled.hours, rolled.days), (2, 2, 2));
    }
}
