//! Hosts whose clocks were set, and agents that take their time.

use crate::fixture::{NOON_US, SECOND_US, batch, known, tick, vm_uuid};
use jiff::Timestamp;
use vmscope_model::access::Reach;
use vmscope_model::{Cause, Gap, Group, Kind, Tick, catalogue::vm};
use vmscope_store::ingest::Writer;
use vmscope_store::on_both_flavors;
use vmscope_store::series::{self, Function, Query, Step};
use vmscope_store::testing::Database;

/// Stores a counter's values at these seconds after noon, in this order, and the span of a step of the clock.
async fn store(database: &Database, counter: &[(i64, i64)], step: Option<(i64, i64)>) -> i32 {
    let (host_id, vm_ids) = known(database.store(), 1, 1).await;
    let at = |second: i64| NOON_US + second * SECOND_US;
    let mut ticks: Vec<Tick> = counter
        .iter()
        .map(|(second, value)| {
            tick(
                at(*second),
                Kind::Vm,
                &[(vm_ids[0], &[(vm::NET_RX_BYTES, *value)])],
            )
        })
        .collect();
    ticks[0].gaps.extend(step.map(|(from, to)| Gap {
        vm: None,
        group: Group::All,
        cause: Cause::ClockStep,
        from_us: at(from),
        to_us: at(to),
        ticks: 0,
        lost: None,
    }));
    let ticks = (1..).zip(ticks).collect();
    let mut writer = Writer::connect(database.url()).await.unwrap();
    writer.commit(&[batch(host_id, 1, ticks)]).await.unwrap();
    vm_ids[0]
}

/// The rates between two seconds after noon: (second, rate).
async fn rates(database: &Database, entity_id: i32, from: i64, to: i64) -> Vec<(i64, f64)> {
    let moment = |second: i64| Timestamp::from_microsecond(NOON_US + second * SECOND_US).unwrap();
    let query = Query {
        kind: Kind::Vm,
        entity_id,
        metrics: vec![vm::NET_RX_BYTES],
        from: moment(from),
        to: moment(to),
        step: Step::Raw,
        function: Function::Avg,
        max_values: 1000,
    };
    let found = series::query(database.store(), &query).await.unwrap();
    let seconds = found.times_ms.iter().map(|ms| (ms - NOON_US / 1000) / 1000);
    seconds
        .zip(&found.values[0])
        .filter_map(|(second, value)| Some((second, (*value)?)))
        .collect()
}

on_both_flavors! {
    async fn a_clock_set_forward_makes_no_rate_across_the_step(database: Database) {
        // Ten bytes a second; between 2 and 10 only one second has passed.
        let counter = [(0, 0), (1, 10), (2, 20), (10, 30), (11, 40)];
        let id = store(&database, &counter, Some((2, 10))).await;
        assert_eq!(rates(&database, id, 0, 60).await, [(1, 10.0), (2, 10.0), (11, 10.0)]);
    }

    async fn a_span_that_is_passed_twice_has_no_rates_and_what_is_around_it_has(database: Database) {
        // At 20 the clock is set back to 10, and the counter runs on.
        let first = (0..=20).map(|second| (second, second * 10));
        let second = (11..=30).map(|second| (second, second * 10 + 100));
        let counter: Vec<_> = first.chain(second).collect();
        let id = store(&database, &counter, Some((10, 21))).await;
        let expected: Vec<_> = (1..=10).chain(22..=30).map(|second| (second, 10.0)).collect();
        assert_eq!(rates(&database, id, 0, 60).await, expected);
    }

    async fn an_agent_that_takes_its_time_keeps_its_rates(database: Database) {
        // 5 s is usual; the interval doubles to 40 s and comes back. Then the host is away for 41 s.
        let usual = (0..=12).map(|sample| sample * 5);
        let seconds = usual.chain([70, 90, 130, 170, 190, 200, 205, 210, 251]);
        let counter: Vec<_> = seconds.map(|second| (second, second * 10)).collect();
        let id = store(&database, &counter, None).await;
        let all = rates(&database, id, 0, 400).await;
        let slow: Vec<_> = [70, 90, 130, 170, 190, 200, 205, 210].map(|second| (second, 10.0)).into();
        assert_eq!(all[12..], slow);
        assert_eq!(rates(&database, id, 100, 140).await, [(130, 10.0)], "looks back far enough");
    }

    async fn a_clock_that_ran_ahead_does_not_hold_back_what_is_known_of_a_vm(database: Database) {
        let (host_id, vm_ids) = known(database.store(), 1, 1).await;
        let now_us = Timestamp::now().as_microsecond();
        let state = |sequence, time_us, state| {
            (sequence, tick(time_us, Kind::Vm, &[(vm_ids[0], &[(vm::STATE, state)])]))
        };
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let ahead = state(1, now_us + 3_600 * SECOND_US, 1);
        writer.commit(&[batch(host_id, 1, vec![ahead])]).await.unwrap();
        let right = state(2, now_us, 3);
        writer.commit(&[batch(host_id, 1, vec![right])]).await.unwrap();
        let late = state(1, now_us - SECOND_US, 5);
        writer.commit(&[batch(host_id, 2, vec![late])]).await.unwrap();
        let vm = vmscope_store::vm::get(database.store(), vm_uuid(0), &Reach::Everything).await.unwrap().unwrap();
        assert_eq!(vm.state, Some(3));
        assert_eq!(vm.last_sample_at.unwrap().as_microsecond(), now_us);
    }
}
