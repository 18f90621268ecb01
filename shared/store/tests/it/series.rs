//! Series against a straightforward computation of the same.

use crate::fixture::{NOON_US, SECOND_US, batch, known, tick};
use jiff::Timestamp;
use std::collections::BTreeMap;
use vmscope_model::{Kind, Tick, catalogue::vm};
use vmscope_store::ingest::Writer;
use vmscope_store::series::{self, Function, Query, Series, Step};
use vmscope_store::testing::Database;
use vmscope_store::{Error, on_both_flavors};

/// (seconds after noon, value).
type Samples = Vec<(f64, i64)>;

fn moment(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "seconds of one test day")]
    Timestamp::from_microsecond(NOON_US + (seconds * 1e6).round() as i64).unwrap()
}

async fn store(database: &Database, samples: &BTreeMap<usize, Samples>) -> i32 {
    let (host_id, vm_ids) = known(database.store(), 1, 1).await;
    let mut rows: Vec<(i64, Tick)> = Vec::new();
    for (column, samples) in samples {
        for (seconds, value) in samples {
            let time_us = moment(*seconds).as_microsecond();
            rows.push((
                time_us,
                tick(time_us, Kind::Vm, &[(vm_ids[0], &[(*column, *value)])]),
            ));
        }
    }
    rows.sort_by_key(|(time_us, _)| *time_us);
    let ticks = rows
        .into_iter()
        .zip(1..)
        .map(|((_, tick), sequence)| (sequence, tick))
        .collect();
    Writer::connect(database.url())
        .await
        .unwrap()
        .commit(&[batch(host_id, 1, ticks)])
        .await
        .unwrap();
    vm_ids[0]
}

fn query(entity_id: i32, metrics: &[usize], span_s: (f64, f64), step: Step, function: Function) -> Query {
    let (from, to) = (moment(span_s.0), moment(span_s.1));
    Query {
        kind: Kind::Vm,
        entity_id,
        metrics: metrics.to_vec(),
        from,
        to,
        step,
        function,
        max_values: 20_000,
    }
}

/// Rates as the module promises them: (seconds after noon, rate, increase, seconds it took).
fn rates(samples: &Samples, divisor: f64, longest_s: f64) -> Vec<(f64, f64, f64, f64)> {
    samples
        .windows(2)
        .filter_map(|pair| {
            let seconds = pair[1].0 - pair[0].0;
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let increase = (pair[1].1 - pair[0].1) as f64 / divisor;
            (increase >= 0.0 && seconds <= longest_s).then_some((
                pair[1].0,
                increase / seconds,
                increase,
                seconds,
            ))
        })
        .collect()
}

fn assert_close(found: &[Option<f64>], expected: &[Option<f64>]) {
    assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
    for (found, expected) in found.iter().zip(expected) {
        match (found, expected) {
            (Some(found), Some(expected)) => {
                assert!(
                    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
                    "{found} is not {expected}"
                );
            }
            (None, None) => {}
            _ => panic!("{found:?} is not {expected:?}"),
        }
    }
}

/// Ten minutes at 1 s with uneven moments, one reset and one hole; another metric at 5 s between them.
fn samples() -> BTreeMap<usize, Samples> {
    let (mut cpu, mut memory, mut value) = (Samples::new(), Samples::new(), 0);
    for second in 0..600_i32 {
        let jitter = f64::from(second * 37 % 100) / 1000.0;
        value += 200_000_000 + i64::from(second * 7919 % 600_000_000);
        if second == 250 {
            value = 5;
        }
        if !(300..330).contains(&second) {
            cpu.push((f64::from(second) + jitter, value));
        }
        if second % 5 == 0 {
            memory.push((f64::from(second) + 0.5, i64::from(second * 104_729 % 1_000_000)));
        }
    }
    BTreeMap::from([(vm::CPU_TIME_NS, cpu), (vm::MEMORY_USED_BYTES, memory)])
}

on_both_flavors! {
    async fn raw_rates_know_resets_and_holes(database: Database) {
        // Reset at 30, hole between 40 and 70 (the usual interval is 10), a dear row between them.
        let counter = vec![(0.0, 100), (10.0, 300), (20.0, 300), (30.0, 50), (40.0, 150), (100.0, 900), (110.0, 1000)];
        let gauge = vec![(5.0, 7), (45.0, 9)];
        let samples = BTreeMap::from([(vm::NET_RX_BYTES, counter), (vm::MEMORY_USED_BYTES, gauge)]);
        let id = store(&database, &samples).await;
        let metrics = [vm::NET_RX_BYTES, vm::MEMORY_USED_BYTES];
        let asked = query(id, &metrics, (0.0, 200.0), Step::Raw, Function::Avg);
        let Series { times_ms, values, .. } = series::query(database.store(), &asked).await.unwrap();
        let seconds: Vec<i64> = times_ms.iter().map(|ms| (ms - NOON_US / 1000) / 1000).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 45, 110]);
        assert_close(&values[0], &[None, Some(20.0), Some(0.0), Some(10.0), None, Some(10.0)]);
        assert_close(&values[1], &[Some(7.0), None, None, None, Some(9.0), None]);
    }

    async fn the_first_rate_looks_back_before_the_beginning(database: Database) {
        let samples = BTreeMap::from([(vm::NET_RX_BYTES, vec![(0.0, 0), (1.0, 10), (2.0, 30)])]);
        let id = store(&database, &samples).await;
        let asked = query(id, &[vm::NET_RX_BYTES], (1.0, 2.5), Step::Raw, Function::Avg);
        let found = series::query(database.store(), &asked).await.unwrap();
        assert_close(&found.values[0], &[Some(10.0), Some(20.0)]);
    }

    async fn steps_equal_a_straightforward_computation(database: Database) {
        let samples = samples();
        let id = store(&database, &samples).await;
        let rates = rates(&samples[&vm::CPU_TIME_NS], 1e9, 15.0);
        let metrics = [vm::CPU_TIME_NS, vm::MEMORY_USED_BYTES];
        for function in [Function::Avg, Function::Min, Function::Max, Function::Last] {
            let asked = query(id, &metrics, (60.0, 590.0), Step::Seconds(20), function);
            let found = series::query(database.store(), &asked).await.unwrap();
            assert_eq!(found.times_ms.len(), 27);
            assert_eq!(found.times_ms[0], NOON_US / 1000 + 60_000);
            let (mut cpu, mut memory) = (Vec::new(), Vec::new());
            for step in 0..27 {
                let span = f64::from(60 + step * 20)..f64::from(80 + step * 20);
                let within: Vec<_> = rates.iter().filter(|rate| span.contains(&rate.0)).collect();
                let fold = |pick: fn(f64, f64) -> f64| within.iter().map(|rate| rate.1).reduce(pick);
                cpu.push(match function {
                    Function::Avg => (!within.is_empty()).then(|| {
                        within.iter().map(|rate| rate.2).sum::<f64>() / within.iter().map(|rate| rate.3).sum::<f64>()
                    }),
                    Function::Min => fold(f64::min),
                    Function::Max => fold(f64::max),
                    Function::Last => within.last().map(|rate| rate.1),
                    Function::P95 | Function::Count | Function::InState(_) => panic!("not asked for"),
                });
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let within: Vec<f64> = samples[&vm::MEMORY_USED_BYTES]
                    .iter().filter(|sample| span.contains(&sample.0)).map(|sample| sample.1 as f64).collect();
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let mean = within.iter().sum::<f64>() / within.len() as f64;
                memory.push(match function {
                    Function::Avg => Some(mean),
                    Function::Min => within.iter().copied().reduce(f64::min),
                    Function::Max => within.iter().copied().reduce(f64::max),
                    Function::Last => within.last().copied(),
                    Function::P95 | Function::Count | Function::InState(_) => panic!("not asked for"),
                });
            }
            // Nothing was sampled from 300 s to 330 s: the step in it has no rate, and says so.
            assert_eq!(cpu[12], None);
            assert_close(&found.values[0], &cpu);
            assert_close(&found.values[1], &memory);
        }
    }

    async fn a_slow_cadence_is_no_hole(database: Database) {
        let samples = BTreeMap::from([(vm::DISK_READ_BYTES, vec![(0.0, 0), (30.0, 300), (60.0, 900), (180.0, 1000)])]);
        let id = store(&database, &samples).await;
        let asked = query(id, &[vm::DISK_READ_BYTES], (0.0, 300.0), Step::Raw, Function::Avg);
        let found = series::query(database.store(), &asked).await.unwrap();
        // 30 s is usual, 120 s is more than three times that.
        assert_close(&found.values[0], &[Some(10.0), Some(20.0)]);
    }

    async fn states_take_the_last_and_other_things_stay_apart(database: Database) {
        let samples = BTreeMap::from([(vm::STATE, vec![(0.0, 1), (1.0, 3), (2.0, 5)])]);
        let id = store(&database, &samples).await;
        let asked = query(id, &[vm::STATE], (0.0, 10.0), Step::Seconds(10), Function::Avg);
        assert_eq!(series::query(database.store(), &asked).await.unwrap().values, [[Some(5.0)]]);
        let other = Query { entity_id: id + 1, ..asked };
        assert_eq!(series::query(database.store(), &other).await.unwrap().values, [[None]]);
    }

    async fn too_much_is_refused(database: Database) {
        let samples = BTreeMap::from([(vm::STATE, (0..30).map(|second| (f64::from(second), 1)).collect())]);
        let id = store(&database, &samples).await;
        for step in [Step::Raw, Step::Seconds(1)] {
            let asked = Query { max_values: 29, ..query(id, &[vm::STATE], (0.0, 30.0), step, Function::Last) };
            let refused = series::query(database.store(), &asked).await.unwrap_err();
            assert!(matches!(refused, Error::TooMuch { limit: 29 }), "{refused:?}");
            let allowed = series::query(database.store(), &Query { max_values: 30, ..asked }).await.unwrap();
            assert_eq!(allowed.times_ms.len(), 30);
        }
        assert_eq!(moment(1.0).as_microsecond() - moment(0.0).as_microsecond(), SECOND_US);
    }
}
