//! Series of VMs that behave like real ones: counters that grow by uneven steps, gauges that wander, states that stay.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;
use vmscope_model::metric::Behaviour;
use vmscope_model::{Entity, Kind, Metric, Record, Table, Tick, Value, VmId, catalogue};

/// Microseconds between two ticks.
const INTERVAL_US: i64 = 1_000_000;
/// One value in this many does not change from one tick to the next.
const STILL: u32 = 3;

/// `ticks` records of one host with `vms` VMs, a row each, every column filled; `start_us` is the first one's time.
pub(crate) fn records(seed: u64, vms: usize, ticks: usize, start_us: i64) -> Vec<Record> {
    let mut random = StdRng::seed_from_u64(seed);
    let dictionary: Vec<Entity> = (0..vms)
        .map(|_| Entity::Vm(VmId(Uuid::from_u128(random.random()))))
        .collect();
    let mut values = first_values(vms, &mut random);
    let mut moment = start_us;
    let record = |_| {
        moment += INTERVAL_US + random.random_range(-2_000..2_000);
        advance(&mut values, &mut random);
        Record {
            dictionary: dictionary.clone(),
            tick: tick(moment, vms, &values),
        }
    };
    (0..ticks).map(record).collect()
}

fn first_values(vms: usize, random: &mut StdRng) -> Vec<i64> {
    let metrics = catalogue::metrics(Kind::Vm);
    let first = |metric: &Metric| match metric.behaviour {
        Behaviour::State(states) => states.first().map_or(0, |(code, _)| *code),
        Behaviour::Counter | Behaviour::Gauge => random.random_range(0..1_000_000_000),
    };
    metrics
        .iter()
        .cycle()
        .take(vms * metrics.len())
        .map(first)
        .collect()
}

fn advance(values: &mut [i64], random: &mut StdRng) {
    let metrics = catalogue::metrics(Kind::Vm).iter().cycle();
    for (value, metric) in values.iter_mut().zip(metrics) {
        if random.random_range(0..STILL) == 0 {
            continue;
        }
        match metric.behaviour {
            Behaviour::Counter => *value += random.random_range(0..20_000_000),
            Behaviour::Gauge => *value = (*value + random.random_range(-4_096..4_096)).max(0),
            Behaviour::State(states) => *value = states.first().map_or(0, |(code, _)| *code),
        }
    }
}

fn tick(time_us: i64, vms: usize, values: &[i64]) -> Tick {
    let mut table = Table::new(Kind::Vm);
    table.entities = (0..vms).filter_map(|number| u32::try_from(number).ok()).collect();
    table.values = values.iter().copied().map(Value::new).collect();
    Tick {
        time_us,
        tables: vec![table],
        ..Tick::default()
    }
}
