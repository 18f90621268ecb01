//! Made-up fleets with everything that happens to samples: holes, resets, clocks that are set, slow and fast cadences, agents
//! that come back late, ticks that come twice.

use super::naive::Samples;
use crate::fixture::{SECOND_US, batch, known, vm_uuid};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use vmscope_model::catalogue::{disk, host, vm};
use vmscope_model::{Cause, Entity, Gap, Group, Kind, Owner, Table, Tick, Value};
use vmscope_store::ingest::HostBatch;
use vmscope_store::{Store, entity};

/// Hosts, each with two VMs, each with a disk.
const HOSTS: u128 = 2;

/// Runs of an agent that its ticks come from: their ticks reach the database in any order.
const RUNS: u64 = 4;

/// What the samples are: by thing and column.
pub(super) type Account = BTreeMap<(Kind, i32, usize), Samples>;

/// A made-up fleet.
pub(super) struct Scenario {
    pub(super) account: Account,
    /// Spans in which clocks were set, by the things of their host.
    pub(super) steps: BTreeMap<(Kind, i32), Vec<(i64, i64)>>,
    /// What comes in, in this order.
    pub(super) batches: Vec<HostBatch>,
}

/// A host's own things: (kind, id).
async fn things(store: &Store, number: u128) -> (i32, Vec<(Kind, i32)>) {
    let (host_id, _) = known(store, number, 0).await;
    let vms = [0, 1].map(|vm| vm_uuid(10 * number + vm));
    let mut entities = vms.map(Entity::Vm).to_vec();
    entities.extend(vms.map(|vm| Entity::Disk {
        owner: Owner::Vm(vm),
        name: "vda".to_owned(),
    }));
    entities.push(Entity::Disk {
        owner: Owner::Host,
        name: "sda".to_owned(),
    });
    let ids = entity::resolve(store, host_id, &entities).await.unwrap();
    let kinds = entities.iter().map(Entity::kind);
    let things = std::iter::once((Kind::Host, host_id))
        .chain(kinds.zip(ids))
        .collect();
    (host_id, things)
}

/// Columns that are sampled, and of which sort: counter, gauge, state.
const fn columns(kind: Kind) -> &'static [(usize, char)] {
    match kind {
        Kind::Host => &[(host::CPU_USER_NS, 'c'), (host::LOAD_1M, 'g')],
        Kind::Vm => &[
            (vm::CPU_TIME_NS, 'c'),
            (vm::NET_RX_BYTES, 'c'),
            (vm::MEMORY_USED_BYTES, 'g'),
            (vm::STATE, 's'),
        ],
        Kind::Disk => &[(disk::READ_BYTES, 'c'), (disk::CAPACITY_BYTES, 'g')],
        Kind::Vcpu | Kind::Nic => &[],
    }
}

impl Scenario {
    /// Makes `hours` of samples from `from_us` on; hosts and things are made known.
    pub(super) async fn make(store: &Store, seed: u64, from_us: i64, hours: i64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut scenario = Self {
            account: Account::new(),
            steps: BTreeMap::new(),
            batches: Vec::new(),
        };
        for number in 0..HOSTS {
            let (host_id, things) = things(store, number).await;
            let ticks = scenario.host(&mut random, &things, from_us, from_us + hours * 3600 * SECOND_US);
            scenario.deliver(&mut random, host_id, ticks);
        }
        // A run's ticks come in its order; runs do not come in theirs.
        let mut queues: BTreeMap<(i32, u64), VecDeque<HostBatch>> = BTreeMap::new();
        for batch in std::mem::take(&mut scenario.batches) {
            queues
                .entry((batch.host_id, batch.epoch))
                .or_default()
                .push_back(batch);
        }
        while !queues.is_empty() {
            let place = random.random_range(0..queues.len());
            let (key, queue) = queues.iter_mut().nth(place).unwrap();
            let key = *key;
            match queue.pop_front() {
                Some(batch) => scenario.batches.push(batch),
                None => drop(queues.remove(&key)),
            }
        }
        scenario
    }

    /// The ticks of a host.
    fn host(&mut self, random: &mut StdRng, things: &[(Kind, i32)], from_us: i64, to_us: i64) -> Vec<Tick> {
        let mut counters: BTreeMap<(Kind, i32, usize), i64> = BTreeMap::new();
        let (mut ticks, mut time_us, mut cadence_us) = (Vec::new(), from_us, 60 * SECOND_US);
        while time_us < to_us {
            let mut tick = Tick {
                time_us,
                ..Tick::default()
            };
            for &(kind, id) in things {
                self.row(random, &mut tick, (kind, id), &mut counters);
            }
            if random.random_ratio(1, 300) {
                let span = (time_us, time_us + random.random_range(1..600) * SECOND_US);
                tick.gaps.push(step(span));
                for thing in things {
                    self.steps.entry(*thing).or_default().push(span);
                }
            }
            ticks.push(tick);
            if random.random_ratio(1, 80) {
                cadence_us = [1, 5, 20, 60, 60, 90, 300][random.random_range(0..7)] * SECOND_US;
            }
            let fast = cadence_us < 20 * SECOND_US && random.random_ratio(1, 40);
            if fast {
                cadence_us = 60 * SECOND_US;
            }
            time_us += cadence_us + random.random_range(0..SECOND_US / 4);
            if random.random_ratio(1, 150) {
                time_us += random.random_range(10..7_200) * SECOND_US;
            }
        }
        ticks
    }

    /// A thing's row: each of its metrics, most of the time.
    fn row(
        &mut self,
        random: &mut StdRng,
        tick: &mut Tick,
        (kind, id): (Kind, i32),
        counters: &mut BTreeMap<(Kind, i32, usize), i64>,
    ) {
        let place = tick
            .tables
            .iter()
            .position(|table| table.kind == kind)
            .unwrap_or_else(|| {
                tick.tables.push(Table::new(kind));
                tick.tables.len() - 1
            });
        let row = tick.tables[place].push(id.cast_unsigned());
        for &(column, sort) in columns(kind) {
            let counter = counters.entry((kind, id, column)).or_default();
            let value = match sort {
                'c' => {
                    *counter += random.random_range(0..4_000_000_000);
                    if random.random_ratio(1, 200) {
                        *counter = random.random_range(0..1000);
                    }
                    *counter
                }
                'g' => random.random_range(0..1 << 40),
                _ => [1, 1, 1, 3, 5][random.random_range(0..5)],
            };
            if !random.random_ratio(1, 20) {
                row[column] = Value::new(value);
                self.account
                    .entry((kind, id, column))
                    .or_default()
                    .insert(tick.time_us, value);
            }
        }
    }

    /// Parts the ticks among runs of the agent, and these into what is committed at once, some of it twice.
    fn deliver(&mut self, random: &mut StdRng, host_id: i32, ticks: Vec<Tick>) {
        let mut runs: BTreeMap<u64, Vec<Tick>> = BTreeMap::new();
        // Runs take turns of some hours; what one has buffered comes when it comes.
        let mut run = 1;
        for tick in ticks {
            if random.random_ratio(1, 60) {
                run = random.random_range(1..=RUNS);
            }
            runs.entry(run).or_default().push(tick);
        }
        for (run, ticks) in runs {
            let mut numbered = (1..).zip(ticks).peekable();
            while numbered.peek().is_some() {
                let some = random.random_range(1..400);
                let ticks: Vec<(u64, Tick)> = numbered.by_ref().take(some).collect();
                let batch = batch(host_id, run, ticks);
                if random.random_ratio(1, 5) {
                    self.batches.push(batch.clone());
                }
                self.batches.push(batch);
            }
        }
    }
}

fn step((from_us, to_us): (i64, i64)) -> Gap {
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
