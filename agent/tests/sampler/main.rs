//! The sampler against a real libvirtd with real QEMU guests, whole and broken, and against hosts without libvirt.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod broken;
mod guests;
mod replay;

use guests::Guests;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use vmscope_agent::sampler::{Config, SINK_RECORDS, Sampler};
use vmscope_model::catalogue::vm;
use vmscope_model::{Cause, Entity, Fact, Gap, Group, Kind, Record, Table, Value, VmId};

/// How long a condition may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running sampler; it stops with this value.
struct Running {
    records: mpsc::Receiver<Record>,
    stretch: watch::Receiver<u32>,
    _stop: DropGuard,
}

impl Running {
    fn start(config: Config) -> Self {
        config.validate().unwrap();
        let (sink, records) = mpsc::channel(SINK_RECORDS);
        let stopping = CancellationToken::new();
        let sampler = Sampler::new(config);
        let stretch = sampler.stretch();
        tokio::spawn(sampler.run(sink, stopping.clone()));
        Self {
            records,
            stretch,
            _stop: stopping.drop_guard(),
        }
    }

    async fn next(&mut self) -> Record {
        let next = tokio::time::timeout(PATIENCE, self.records.recv()).await;
        next.expect("a record in time").expect("the sampler runs")
    }

    /// The first record that `is_it`.
    async fn find(&mut self, is_it: impl Fn(&Record) -> bool) -> Record {
        let search = async {
            loop {
                let record = self.next().await;
                if is_it(&record) {
                    return record;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .expect("the record that is waited for")
    }
}

fn config(guests: &Guests) -> Config {
    Config {
        libvirt_socket: guests.socket.clone(),
        dear_interval_ms: 2_000,
        ..Config::default()
    }
}

/// Whether no gap has libvirt or a VM for a reason: a busy machine may be late with a sample of the host itself.
fn lacks_nothing(record: &Record) -> bool {
    let is_late = |gap: &Gap| (gap.group, gap.cause) == (Group::Host, Cause::Deadline);
    record.tick.gaps.iter().all(is_late)
}

/// The rows of VMs that have a value in `column`.
fn vms_with(record: &Record, column: usize) -> HashMap<VmId, Vec<Value>> {
    let rows = record
        .tick
        .tables
        .iter()
        .filter(|table| table.kind == Kind::Vm)
        .flat_map(Table::rows);
    rows.filter(|(_, row)| row[column].get().is_some())
        .map(|(number, row)| match record.dictionary[number as usize] {
            Entity::Vm(vm) => (vm, row.to_vec()),
            ref other => panic!("{other:?} in the table of VMs"),
        })
        .collect()
}

fn is_cheap(record: &Record) -> bool {
    !vms_with(record, vm::STATE).is_empty()
}

fn is_dear(record: &Record) -> bool {
    !vms_with(record, vm::DISK_READ_REQUESTS).is_empty()
}

fn is_host(record: &Record) -> bool {
    record.dictionary.contains(&Entity::Host)
}

fn names(record: &Record) -> HashMap<VmId, String> {
    let facts = record.tick.facts.iter();
    facts
        .filter_map(|fact| match fact {
            Fact::Vm(facts) => Some((facts.vm, facts.name.clone())),
            Fact::Host(_) | Fact::Run(_) | Fact::Guest(_) => None,
        })
        .collect()
}

/// Fields of libvirt, their columns and factors: counters, and gauges that grow or stay with these guests.
const COMPARED: &[(&str, usize, i64)] = &[
    ("cpu.time", vm::CPU_TIME_NS, 1),
    ("cpu.user", vm::CPU_USER_NS, 1),
    ("cpu.system", vm::CPU_SYSTEM_NS, 1),
    ("net.0.rx.bytes", vm::NET_RX_BYTES, 1),
    ("net.0.rx.pkts", vm::NET_RX_PACKETS, 1),
    ("net.0.tx.bytes", vm::NET_TX_BYTES, 1),
    ("net.0.tx.pkts", vm::NET_TX_PACKETS, 1),
    ("state.state", vm::STATE, 1),
    ("state.reason", vm::STATE_REASON, 1),
    ("vcpu.current", vm::VCPU_CURRENT, 1),
    ("vcpu.maximum", vm::VCPU_MAXIMUM, 1),
    ("balloon.current", vm::MEMORY_CURRENT_BYTES, 1024),
    ("balloon.maximum", vm::MEMORY_MAXIMUM_BYTES, 1024),
    ("block.0.rd.reqs", vm::DISK_READ_REQUESTS, 1),
    ("block.0.rd.bytes", vm::DISK_READ_BYTES, 1),
    ("block.0.rd.times", vm::DISK_READ_NS, 1),
    ("block.0.wr.reqs", vm::DISK_WRITE_REQUESTS, 1),
    ("block.0.wr.bytes", vm::DISK_WRITE_BYTES, 1),
    ("block.0.wr.times", vm::DISK_WRITE_NS, 1),
    ("block.0.capacity", vm::DISK_CAPACITY_BYTES, 1),
];

#[tokio::test]
async fn values_are_those_of_virsh_at_the_same_moment() {
    let guests = Guests::shared();
    let before = guests.domstats();
    let mut running = Running::start(config(&guests));
    let cheap = running.find(is_cheap).await;
    let names = names(&cheap);
    let dear = running
        .find(|record| is_dear(record) && record.tick.gaps.is_empty())
        .await;
    let after = guests.domstats();
    assert!(!names.is_empty());
    for (id, name) in names {
        let (Some(before), Some(after)) = (before.get(&name), after.get(&name)) else {
            continue;
        };
        for &(field, column, factor) in COMPARED {
            let number = |stats: &HashMap<String, String>| stats[field].parse::<i64>().unwrap() * factor;
            let row = [&cheap, &dear]
                .into_iter()
                .find_map(|record| vms_with(record, column).remove(&id));
            let value = row.unwrap_or_else(|| panic!("{name} has no {field}"))[column]
                .get()
                .unwrap();
            let (low, high) = (number(before), number(after));
            assert!(
                (low..=high).contains(&value),
                "{name} {field}: {low} <= {value} <= {high}"
            );
        }
    }
}

#[tokio::test]
async fn what_the_host_hides_is_asked_of_libvirt() {
    let guests = Guests::shared();
    // Nothing is below it: no processes, no interfaces.
    let root = tempfile::tempdir().unwrap();
    let mut running = Running::start(Config {
        host_root: root.path().to_owned(),
        ..config(&guests)
    });
    let before = guests.domstats();
    let cheap = running.find(is_cheap).await;
    let dear = running.find(is_dear).await;
    let after = guests.domstats();
    let names = names(&cheap);
    assert!(!names.is_empty());
    for (record, column, field) in [
        (&cheap, vm::CPU_TIME_NS, "cpu.time"),
        (&cheap, vm::NET_RX_BYTES, "net.0.rx.bytes"),
        (&dear, vm::DISK_READ_BYTES, "block.0.rd.bytes"),
    ] {
        let rows = vms_with(record, column);
        for (id, name) in &names {
            let (Some(before), Some(after)) = (before.get(name), after.get(name)) else {
                continue;
            };
            let [least, most] = [before, after].map(|stats| stats[field].parse::<i64>().unwrap());
            let value = rows[id][column].get().unwrap();
            assert!(
                (least..=most).contains(&value),
                "{name} {field}: {least} <= {value} <= {most}"
            );
        }
    }
    assert_eq!(vms_with(&dear, vm::VCPU_TIME_NS).len(), names.len());
}

#[tokio::test]
async fn a_vm_that_is_started_anew_is_read_anew() {
    let guests = Guests::own(1);
    let mut running = Running::start(config(&guests));
    let is_read = |record: &Record| is_cheap(record) && !vms_with(record, vm::VCPU_TIME_NS).is_empty();
    running.find(is_read).await;
    guests.signal(1, "-KILL");
    running
        .find(|record| is_host(record) && guests.domstats().is_empty())
        .await;
    guests.run(&["up", "1"]);
    let first = guests.domstats()["vmscope-demo-1"]["cpu.time"]
        .parse::<i64>()
        .unwrap();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let is_later = |record: &Record| record.tick.time_us > i64::try_from(started).unwrap();
    let again = running.find(|record| is_later(record) && is_read(record)).await;
    let after = guests.domstats()["vmscope-demo-1"]["cpu.time"]
        .parse::<i64>()
        .unwrap();
    for row in vms_with(&again, vm::CPU_TIME_NS).into_values() {
        let value = row[vm::CPU_TIME_NS].get().unwrap();
        assert!((first..=after).contains(&value), "{first} <= {value} <= {after}");
    }
}

#[tokio::test]
async fn facts_tell_the_host_and_its_vms() {
    let guests = Guests::shared();
    let mut running = Running::start(config(&guests));
    let is_told = |record: &Record| {
        let mut facts = record.tick.facts.iter();
        facts.any(|fact| matches!(fact, Fact::Host(host) if host.hypervisor.contains("libvirt ")))
    };
    let record = running.find(is_told).await;
    assert!(is_host(&record));
}

#[tokio::test]
async fn one_stopped_qemu_costs_no_other_vm_a_tick() {
    const GUESTS: usize = 11;
    const STOPPED: usize = 4;
    let guests = Guests::own(GUESTS);
    let mut running = Running::start(config(&guests));
    let first = running.find(|record| names(record).len() == GUESTS).await;
    let stopped = names(&first)
        .into_iter()
        .find(|(_, name)| *name == format!("vmscope-demo-{STOPPED}"))
        .unwrap()
        .0;
    running.find(is_dear).await;

    guests.signal(STOPPED, "-STOP");
    let is_skipped = |record: &Record| record.tick.gaps.iter().any(|gap| gap.cause == Cause::Busy);
    let mut dear = vec![running.find(is_skipped).await];
    let mut cheap = Vec::new();
    while dear.len() < 4 {
        let record = running.next().await;
        if is_cheap(&record) {
            cheap.push(record);
        } else if is_dear(&record) {
            dear.push(record);
        } else {
            assert!(
                is_host(&record) && lacks_nothing(&record),
                "{:?}",
                record.tick.gaps
            );
        }
    }
    for record in &dear {
        let [
            Gap {
                vm: Some(vm),
                group: Group::Dear,
                cause: Cause::Busy,
                ticks: 1,
                lost: None,
                ..
            },
        ] = record.tick.gaps[..]
        else {
            panic!("not one gap of one VM: {:?}", record.tick.gaps);
        };
        assert_eq!(vm, stopped);
        let told: HashSet<_> = vms_with(record, vm::DISK_READ_REQUESTS).into_keys().collect();
        assert_eq!((told.len(), told.contains(&stopped)), (GUESTS - 1, false));
    }
    assert!(
        cheap.len() >= 4,
        "{} cheap ticks in three dear intervals",
        cheap.len()
    );
    for record in &cheap {
        assert!(record.tick.gaps.is_empty(), "{:?}", record.tick.gaps);
        assert_eq!(vms_with(record, vm::STATE).len(), GUESTS);
    }

    guests.signal(STOPPED, "-CONT");
    running
        .find(|record| vms_with(record, vm::DISK_READ_REQUESTS).contains_key(&stopped))
        .await;
}
