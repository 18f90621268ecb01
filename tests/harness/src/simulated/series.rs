//! Series that behave like real ones: counters that grow by uneven steps, gauges that wander, states that stay.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;
use vmscope_model::metric::Behaviour;
use vmscope_model::{Entity, Group, Kind, Metric, Owner, Record, Value, VmId, catalogue};

/// Microseconds between two ticks.
pub const INTERVAL_US: i64 = 1_000_000;
/// How far a tick may be from its moment.
const JITTER_US: i64 = 2_000;
/// One value in this many does not change from one tick to the next.
const STILL: u32 = 3;

/// One measured thing: some of its columns, and their last values.
#[derive(Debug)]
struct Thing {
    entity: Entity,
    columns: Vec<usize>,
    values: Vec<i64>,
}

impl Thing {
    /// All columns of `entity` that `wanted` says yes to.
    fn new(entity: Entity, random: &mut StdRng, wanted: impl Fn(&Metric) -> bool) -> Self {
        let metrics = catalogue::metrics(entity.kind());
        let columns: Vec<usize> = (0..metrics.len())
            .filter(|column| wanted(&metrics[*column]))
            .collect();
        let first = |column: &usize| match metrics[*column].behaviour {
            Behaviour::State(states) => states.first().map_or(0, |(code, _)| *code),
            Behaviour::Counter | Behaviour::Gauge => random.random_range(0..1_000_000_000),
        };
        Self {
            values: columns.iter().map(first).collect(),
            entity,
            columns,
        }
    }

    fn advance(&mut self, random: &mut StdRng) {
        let metrics = catalogue::metrics(self.entity.kind());
        for (column, value) in self.columns.iter().zip(&mut self.values) {
            if random.random_range(0..STILL) == 0 {
                continue;
            }
            match metrics[*column].behaviour {
                Behaviour::Counter => *value += random.random_range(0..20_000_000),
                Behaviour::Gauge => *value = (*value + random.random_range(-4_096..4_096)).max(0),
                Behaviour::State(_) => {}
            }
        }
    }
}

/// The next tick of `things`.
fn record(things: &mut [Thing], random: &mut StdRng, time_us: i64) -> Record {
    let mut record = Record::default();
    record.tick.time_us = time_us;
    for thing in things {
        thing.advance(random);
        let row = record.push(thing.entity.clone());
        for (column, value) in thing.columns.iter().zip(&thing.values) {
            row[*column] = Value::new(*value);
        }
    }
    record
}

/// `ticks` records of one host with `vms` VMs, a row each, every column filled; `start_us` is the first one's time.
pub fn full_rows(seed: u64, vms: usize, ticks: usize, start_us: i64) -> Vec<Record> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut things: Vec<Thing> = (0..vms)
        .map(|_| Thing::new(vm(&mut random), &mut random, |_| true))
        .collect();
    let mut moment = start_us;
    let next = |_| {
        moment += INTERVAL_US + random.random_range(-JITTER_US..JITTER_US);
        record(&mut things, &mut random, moment)
    };
    (0..ticks).map(next).collect()
}

/// A host as its agent sees it: cheap ticks with the host's row and a VM's cheap columns, dear ones with the others and
/// a processor, a disk and an interface of each VM.
#[derive(Debug)]
pub struct Host {
    random: StdRng,
    cheap: Vec<Thing>,
    dear: Vec<Thing>,
}

impl Host {
    /// A host with so many VMs; the seed decides everything.
    pub fn new(seed: u64, vms: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut cheap, mut dear) = (Vec::new(), Vec::new());
        cheap.push(Thing::new(Entity::Host, &mut random, |_| true));
        for number in 0..vms {
            let entity = vm(&mut random);
            let is_of = |group| move |metric: &Metric| catalogue::group(Kind::Vm, metric) == group;
            cheap.push(Thing::new(entity.clone(), &mut random, is_of(Group::Cheap)));
            dear.push(Thing::new(entity.clone(), &mut random, is_of(Group::Dear)));
            for device in devices(&entity, number) {
                dear.push(Thing::new(device, &mut random, |_| true));
            }
        }
        Self { random, cheap, dear }
    }

    /// The next tick of the host and the cheap groups.
    pub fn cheap(&mut self, time_us: i64) -> Record {
        record(&mut self.cheap, &mut self.random, time_us)
    }

    /// The next tick of the dear groups.
    pub fn dear(&mut self, time_us: i64) -> Record {
        record(&mut self.dear, &mut self.random, time_us)
    }
}

fn vm(random: &mut StdRng) -> Entity {
    Entity::Vm(VmId(Uuid::from_u128(random.random())))
}

fn devices(vm: &Entity, number: usize) -> Vec<Entity> {
    let Entity::Vm(id) = vm else { return Vec::new() };
    let owner = Owner::Vm(*id);
    vec![
        Entity::Vcpu { owner, index: 0 },
        Entity::Disk {
            owner,
            name: "vda".to_owned(),
        },
        Entity::Nic {
            owner,
            name: format!("vnet{number}"),
        },
    ]
}
