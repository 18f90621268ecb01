//! History of many things against the plainest computation of the same.

use crate::fixture::{SECOND_US, batch, host_uuid, known, vm_uuid};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use vmscope_model::access::Reach;
use vmscope_model::catalogue::vm;
use vmscope_model::{Cause, Entity, Gap, Group, Kind, Table, Tick, Value};
use vmscope_store::entity::Reference;
use vmscope_store::history::among::{self, Among, Sight};
use vmscope_store::history::rank::{Ranking, rank};
use vmscope_store::history::{self, Function, MAX_SAMPLES, Query, Step};
use vmscope_store::ingest::Writer;
use vmscope_store::testing::Database;
use vmscope_store::testing::plain::{self, Known, Samples};
use vmscope_store::{Error, Store, entity, on_both_flavors};

/// A counter in time, a counter of requests, a gauge, a state.
const METRICS: [usize; 4] = [
    vm::CPU_TIME_NS,
    vm::NET_RX_BYTES,
    vm::MEMORY_USED_BYTES,
    vm::STATE,
];

const FUNCTIONS: [Function; 7] = [
    Function::Avg,
    Function::Min,
    Function::Max,
    Function::Last,
    Function::P95,
    Function::Count,
    Function::InState(3),
];

/// What was stored: by VM, then by metric.
pub(crate) struct Fleet {
    pub(crate) host_id: i32,
    pub(crate) ids: Vec<i32>,
    samples: Vec<BTreeMap<usize, Samples>>,
    /// Spans in which the host's clock was set.
    steps: Vec<(i64, i64)>,
    known: Vec<BTreeMap<usize, Known>>,
}

/// How a fleet of one host is made up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) host: u128,
    pub(crate) first_vm: u128,
    pub(crate) vms: usize,
    pub(crate) from_us: i64,
    pub(crate) seconds: i64,
    pub(crate) interval_s: i64,
    /// Whether samples are missing here and there.
    pub(crate) holes: bool,
    /// Run of the agent; each has its own numbers.
    pub(crate) epoch: u64,
    pub(crate) seed: u64,
}

impl Fleet {
    /// Makes samples up (uneven moments, resets, holes, one step of the clock) and stores them in a random order.
    pub(crate) async fn store(database: &Database, plan: Plan) -> Self {
        let (host_id, _) = known(database.store(), plan.host, 0).await;
        let vms = (0..plan.vms as u128).map(|number| Entity::Vm(vm_uuid(plan.first_vm + number)));
        let entities: Vec<Entity> = vms.collect();
        let mut fleet = Self {
            host_id,
            ids: entity::resolve(database.store(), host_id, &entities)
                .await
                .unwrap(),
            samples: vec![BTreeMap::new(); plan.vms],
            steps: Vec::new(),
            known: Vec::new(),
        };
        fleet.more(database, plan).await;
        fleet
    }

    /// The same once more, of another time.
    pub(crate) async fn more(&mut self, database: &Database, plan: Plan) {
        let mut random = StdRng::seed_from_u64(plan.seed);
        let middle = plan.from_us + plan.seconds / 2 * SECOND_US;
        let step = (middle, middle + 3 * plan.interval_s * SECOND_US);
        self.steps.push(step);
        let mut ticks = self.make_up(plan, &mut random);
        ticks.shuffle(&mut random);
        ticks[0].gaps = vec![clock_step(step)];
        let mut sequence = 0;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        for ticks in ticks.chunks(5000) {
            let numbered = ticks.iter().cloned().map(|tick| {
                sequence += 1;
                (sequence, tick)
            });
            let batch = batch(self.host_id, plan.epoch, numbered.collect());
            writer.commit(&[batch]).await.unwrap();
        }
        let known = |samples: &mut BTreeMap<usize, Samples>| {
            let one = |(column, samples): (&usize, &mut Samples)| {
                samples.sort_unstable();
                (*column, Known::new(Kind::Vm, *column, samples, &self.steps))
            };
            samples.iter_mut().map(one).collect()
        };
        self.known = self.samples.iter_mut().map(known).collect();
    }

    fn make_up(&mut self, plan: Plan, random: &mut StdRng) -> Vec<Tick> {
        let mut ticks = Vec::new();
        let mut counters = vec![0_i64; self.ids.len()];
        let mut hole_until = 0;
        for second in (0..plan.seconds).step_by(usize::try_from(plan.interval_s).unwrap()) {
            if second < hole_until {
                continue;
            }
            if plan.holes && random.random_ratio(1, 200) {
                // Two intervals in one are no hole, five are one, whatever the usual interval is to the millisecond.
                let missing = [2, 5, 8, 40, 200][random.random_range(0..5)];
                hole_until = second + missing * plan.interval_s;
            }
            let time_us = plan.from_us + second * SECOND_US + random.random_range(0..SECOND_US / 10);
            let mut table = Table::new(Kind::Vm);
            for (place, id) in self.ids.iter().enumerate() {
                counters[place] += random.random_range(0..plan.interval_s * 1_000_000_000);
                if random.random_ratio(1, 500) {
                    counters[place] = random.random_range(0..1000);
                }
                let row = table.push(id.cast_unsigned());
                let values = [
                    (vm::CPU_TIME_NS, counters[place], 1.0),
                    (vm::NET_RX_BYTES, counters[place] / 7, 1.0),
                    (vm::MEMORY_USED_BYTES, random.random_range(0..1 << 20), 0.4),
                    (vm::STATE, random.random_range(1..6), 1.0),
                ];
                for (column, value, often) in values {
                    if random.random_bool(often) {
                        row[column] = Value::new(value);
                        self.samples[place]
                            .entry(column)
                            .or_default()
                            .push((time_us, value));
                    }
                }
            }
            ticks.push(Tick {
                time_us,
                tables: vec![table],
                ..Tick::default()
            });
        }
        ticks
    }

    /// What has to be answered for a VM and metric from `from_us` to before `to_us`.
    pub(crate) fn expected(
        &self,
        place: usize,
        column: usize,
        span_us: (i64, i64),
        function: Function,
    ) -> Option<f64> {
        self.known[place].get(&column)?.value(span_us, function)
    }
}

fn clock_step((from_us, to_us): (i64, i64)) -> Gap {
    Gap {
        vm: None,
        group: Group::All,
        cause: Cause::ClockStep,
        from_us,
        to_us,
        ticks: 0,
        lost: None,
    }
}

pub(crate) fn at(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap()
}

pub(crate) fn asked(ids: &[i32], span_us: (i64, i64), step: Step, function: Function) -> Query {
    Query {
        kind: Kind::Vm,
        entities: ids.to_vec(),
        metrics: METRICS.to_vec(),
        from: at(span_us.0),
        to: at(span_us.1),
        step,
        function,
        tier: None,
        shift_s: None,
        max_values: 1_000_000,
        max_samples: MAX_SAMPLES,
    }
}

/// The answer is what a plain computation says, for every VM, metric and step.
pub(crate) async fn compare(store: &Store, fleet: &Fleet, query: &Query, tolerance: f64) {
    let answer = history::query(store, query).await.unwrap();
    let step_us = match answer.step_s {
        0 => (query.to.as_microsecond() - query.from.as_microsecond()).max(1),
        step_s => i64::from(step_s) * SECOND_US,
    };
    assert!(!answer.times_ms.is_empty());
    for (values, shift_s) in [
        (Some(&answer.values), 0),
        (answer.compared.as_ref(), query.shift_s.unwrap_or(0)),
    ] {
        let Some(values) = values else { continue };
        for (place, id) in query.entities.iter().enumerate() {
            let known = fleet.ids.iter().position(|known| known == id).unwrap();
            for (number, &column) in query.metrics.iter().enumerate() {
                assert_eq!(values[place][number].len(), answer.times_ms.len());
                for (time_ms, found) in answer.times_ms.iter().zip(&values[place][number]) {
                    let from_us = match query.step {
                        Step::Whole => query.from.as_microsecond(),
                        _ => time_ms * 1000,
                    } - i64::from(shift_s) * SECOND_US;
                    let expected =
                        fleet.expected(known, column, (from_us, from_us + step_us), query.function);
                    assert!(
                        is_close(*found, expected, tolerance),
                        "{found:?} is not {expected:?}: vm {place}, metric {column}, {} {query:?}",
                        at(from_us)
                    );
                }
            }
        }
    }
}

pub(crate) fn is_close(found: Option<f64>, expected: Option<f64>, tolerance: f64) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        (None, None) => true,
        _ => false,
    }
}

/// 2026-11-22 09:00:00 UTC and a bit.
const START_US: i64 = crate::fixture::NOON_US - 3 * 3600 * SECOND_US;

fn two_hours(seed: u64) -> Plan {
    Plan {
        host: 1,
        first_vm: 0,
        vms: 3,
        from_us: START_US,
        seconds: 7200,
        interval_s: 2,
        holes: true,
        epoch: 1,
        seed,
    }
}

on_both_flavors! {
    async fn samples_of_many_say_what_a_plain_computation_says(database: Database) {
        let fleet = Fleet::store(&database, two_hours(1)).await;
        let mut random = StdRng::seed_from_u64(2);
        for function in FUNCTIONS {
            for _ in 0..8 {
                let from_us = START_US + random.random_range(-600..7200) * SECOND_US + random.random_range(0..SECOND_US);
                let to_us = from_us + random.random_range(1..3600) * SECOND_US;
                let step = match random.random_range(0..4) {
                    0 => Step::Whole,
                    1 => Step::Seconds(300),
                    _ => Step::Seconds(random.random_range(1..100)),
                };
                compare(database.store(), &fleet, &asked(&fleet.ids, (from_us, to_us), step, function), 1e-9).await;
            }
        }
    }

    async fn an_earlier_period_lies_beside(database: Database) {
        let fleet = Fleet::store(&database, two_hours(3)).await;
        let span_us = (START_US + 3600 * SECOND_US, START_US + 5400 * SECOND_US);
        for function in [Function::Avg, Function::Count] {
            let query = asked(&fleet.ids, span_us, Step::Seconds(60), function);
            compare(database.store(), &fleet, &Query { shift_s: Some(1800), ..query }, 1e-9).await;
        }
        let crooked = Query { shift_s: Some(90), ..asked(&fleet.ids, span_us, Step::Seconds(60), Function::Avg) };
        let refused = history::query(database.store(), &crooked).await.unwrap_err();
        assert!(matches!(refused, Error::Misaligned { step_s: 60 }), "{refused:?}");
    }

    async fn samples_of_many_share_one_axis(database: Database) {
        let first = Fleet::store(&database, Plan { vms: 1, seconds: 60, ..two_hours(4) }).await;
        let second = Fleet::store(&database, Plan { host: 2, first_vm: 10, vms: 1, seconds: 60, ..two_hours(5) }).await;
        let span_us = (START_US, START_US + 60 * SECOND_US);
        for function in FUNCTIONS {
            let query = asked(&[second.ids[0], first.ids[0]], span_us, Step::Raw, function);
            let answer = history::query(database.store(), &query).await.unwrap();
            assert!(answer.times_ms.is_sorted());
            for (fleet, place) in [(&second, 0), (&first, 1)] {
                for (number, column) in [(2, vm::MEMORY_USED_BYTES), (3, vm::STATE)] {
                    let stored = &fleet.samples[0][&column];
                    let found: Vec<(i64, f64)> = answer.times_ms.iter().zip(&answer.values[place][number])
                        .filter_map(|(time_ms, value)| Some((*time_ms, (*value)?))).collect();
                    let expected: Vec<(i64, f64)> = stored.iter()
                        .map(|(time_us, value)| (time_us / 1000, plain::float(*value))).collect();
                    assert_eq!(found, expected, "{function:?}");
                }
            }
        }
    }

    async fn what_is_first_comes_first(database: Database) {
        let fleet = Fleet::store(&database, Plan { vms: 9, seconds: 600, ..two_hours(6) }).await;
        let span_us = (START_US, START_US + 600 * SECOND_US);
        for (by, descending) in [(Function::Avg, true), (Function::Max, true), (Function::Last, false)] {
            let ranking = Ranking {
                kind: Kind::Vm,
                entities: fleet.ids.clone(),
                metric: vm::CPU_TIME_NS,
                from: at(span_us.0),
                to: at(span_us.1),
                by,
                tier: None,
                descending,
                count: 4,
            };
            let ranked = rank(database.store(), &ranking).await.unwrap();
            let mut expected: Vec<(i32, f64)> = fleet.ids.iter().enumerate()
                .map(|(place, id)| (*id, fleet.expected(place, vm::CPU_TIME_NS, span_us, by).unwrap()))
                .collect();
            expected.sort_by(|one, other| one.1.total_cmp(&other.1));
            if descending {
                expected.reverse();
            }
            let ids = |items: &[(i32, f64)]| items.iter().map(|item| item.0).collect::<Vec<_>>();
            assert_eq!(ids(&ranked.items), ids(&expected[..4]));
            assert!(is_close(Some(ranked.items[0].1), Some(expected[0].1), 1e-9));
        }
    }

    async fn too_much_is_refused_before_it_is_read(database: Database) {
        let fleet = Fleet::store(&database, Plan { seconds: 60, ..two_hours(7) }).await;
        let day_us = (START_US - 86_400 * SECOND_US, START_US);
        let query = asked(&fleet.ids, day_us, Step::Seconds(60), Function::Avg);
        let few = Query { max_values: 1440 * 12 - 1, ..query.clone() };
        let refused = history::query(database.store(), &few).await.unwrap_err();
        assert!(matches!(refused, Error::TooMuch { limit: 17_279 }), "{refused:?}");
        let dear = Query { max_samples: 86_400 * 12 - 1, ..query };
        let refused = history::query(database.store(), &dear).await.unwrap_err();
        assert!(matches!(refused, Error::TooManySamples { .. }), "{refused:?}");
    }

    async fn things_are_found_by_name_group_and_host_within_reach(database: Database) {
        let fleet = Fleet::store(&database, Plan { seconds: 10, ..two_hours(8) }).await;
        Fleet::store(&database, Plan { host: 2, first_vm: 10, seconds: 10, ..two_hours(9) }).await;
        let all = Sight { hosts: &Reach::Everything, vms: &Reach::Everything };
        let find = async |kind, among: &Among, sight| {
            let found = among::find(database.store(), kind, among, sight, 100).await.unwrap();
            found.into_iter().map(|thing| thing.id).collect::<Vec<_>>()
        };
        let named = Among::Things(vec![Reference::Vm(vm_uuid(2)), Reference::Vm(vm_uuid(0)), Reference::Vm(vm_uuid(99))]);
        assert_eq!(find(Kind::Vm, &named, all).await, [fleet.ids[2], fleet.ids[0]]);
        assert_eq!(find(Kind::Vm, &Among::All, all).await.len(), 6);
        assert_eq!(find(Kind::Vm, &Among::Hosts(vec![host_uuid(1)]), all).await.len(), 3);
        assert_eq!(find(Kind::Host, &Among::All, all).await.len(), 2);
        let blind = Sight { hosts: &Reach::Nothing, vms: &Reach::Nothing };
        for kind in Kind::ALL {
            assert_eq!(find(kind, &Among::All, blind).await, Vec::<i32>::new());
        }
        let group = uuid::Uuid::from_u128(7);
        let client = database.client().await.unwrap();
        client.execute("INSERT INTO vm_group (id, name) VALUES ($1, 'shop')", &[&group]).await.unwrap();
        client.execute("INSERT INTO vm_group_member (group_id, vm_id, source) VALUES ($1, $2, 'direct')", &[&group, &fleet.ids[1]])
            .await.unwrap();
        assert_eq!(find(Kind::Vm, &Among::Group(group), all).await, [fleet.ids[1]]);
        assert_eq!(find(Kind::Host, &Among::Group(group), all).await.len(), 1);
        let shop = Reach::Groups { allowed: vec![group], denied: vec![] };
        let only = Sight { hosts: &shop, vms: &shop };
        assert_eq!(find(Kind::Vm, &Among::All, only).await, [fleet.ids[1]]);
        assert_eq!(find(Kind::Host, &Among::All, only).await.len(), 1);
    }
}
