//! One host with two VMs and a minute of samples, written as a collector writes them.

use jiff::Timestamp;
use uuid::Uuid;
use vmscope_model::catalogue::{disk, host, state, vm};
use vmscope_model::guest::{GuestFileSystem, GuestInterface};
use vmscope_model::{
    Cause, Entity, Fact, Gap, Group, Guest, GuestFacts, HostFacts, HostId, Kind, Owner, Table, Tick, Value,
    VmFacts, VmId,
};
use vmscope_store::ingest::{HostBatch, Writer};
use vmscope_store::testing::Database;
use vmscope_store::{entity, session};

pub(crate) const HOST: HostId = HostId(Uuid::from_u128(0xa1));
/// Runs all the time; its CPU counter starts again in the middle.
pub(crate) const BUSY: VmId = VmId(Uuid::from_u128(0xb1));
/// Is paused; reports memory by rss.
pub(crate) const IDLE: VmId = VmId(Uuid::from_u128(0xb2));
/// Samples of the minute.
pub(crate) const TICKS: i64 = 60;
/// Number of the sample before which the CPU counter started again.
pub(crate) const RESET: i64 = 30;
/// What the busy VM gains in CPU time a second: a quarter of a core.
const CPU_NS: i64 = 250_000_000;

pub(crate) struct Fleet {
    /// Time of the first sample, a whole minute's beginning; the last is `TICKS - 1` seconds later.
    pub(crate) from: Timestamp,
    /// Database id of the busy VM's disk.
    pub(crate) disk: i32,
}

/// Numbers of the entities in the database.
struct Numbers {
    host: u32,
    busy: u32,
    idle: u32,
    disk: u32,
}

/// Writes samples from some 70 s ago; one more of each VM and of the host is taken now.
pub(crate) async fn write(database: &Database) -> Fleet {
    let store = database.store();
    let host_id = entity::register_host(store, HOST).await.expect("a host");
    let vda = Entity::Disk {
        owner: Owner::Vm(BUSY),
        name: "vda".to_owned(),
    };
    let entities = [Entity::Host, Entity::Vm(BUSY), Entity::Vm(IDLE), vda];
    let ids = entity::resolve(store, host_id, &entities).await.expect("ids");
    let numbers: Vec<u32> = ids
        .iter()
        .map(|&id| u32::try_from(id).expect("positive"))
        .collect();
    let numbers = Numbers {
        host: numbers[0],
        busy: numbers[1],
        idle: numbers[2],
        disk: numbers[3],
    };
    let now = Timestamp::now();
    let from = Timestamp::from_second((now.as_second() - 70).div_euclid(10) * 10).expect("a time");
    let mut ticks: Vec<Tick> = (0..TICKS).map(|i| tick(&numbers, from, i)).collect();
    ticks[0].facts = facts();
    ticks[10].gaps.push(Gap {
        vm: Some(BUSY),
        group: Group::Dear,
        cause: Cause::Deadline,
        from_us: from.as_microsecond() + 10_000_000,
        to_us: from.as_microsecond() + 10_000_000,
        ticks: 1,
        lost: None,
    });
    ticks.push(Tick {
        time_us: now.as_microsecond(),
        ..tick(&numbers, from, TICKS)
    });
    let ticks = (1..).zip(ticks).collect();
    let opening = session::Opening {
        host_id,
        collector: "north".to_owned(),
        remote: "192.0.2.7:4711".to_owned(),
        agent_version: "0.1.0".to_owned(),
        clock_offset_us: 0,
    };
    let fence = session::begin(database.store(), &opening)
        .await
        .expect("a session");
    let mut writer = Writer::connect(database.url()).await.expect("a writer");
    writer
        .commit(&[HostBatch {
            host_id,
            fence,
            epoch: 1,
            ticks,
        }])
        .await
        .expect("committed");
    Fleet { from, disk: ids[3] }
}

fn facts() -> Vec<Fact> {
    let host = HostFacts {
        name: "alpha".to_owned(),
        os: "Debian GNU/Linux 12".to_owned(),
        cpu_count: 8,
        memory_bytes: 16 << 30,
        hypervisor: "QEMU 7.2".to_owned(),
        agent_version: "0.1.0".to_owned(),
        boot_time_us: 1_700_000_000_000_000,
        ..HostFacts::default()
    };
    let vm = |vm, name: &str| {
        Fact::Vm(VmFacts {
            vm,
            name: name.to_owned(),
        })
    };
    let guest = Guest {
        host_name: "inside".to_owned(),
        os: "Debian GNU/Linux 12".to_owned(),
        file_systems: vec![GuestFileSystem {
            mount_point: "/".to_owned(),
            kind: "ext4".to_owned(),
            total_bytes: Some(1000),
            used_bytes: None,
        }],
        interfaces: vec![GuestInterface {
            name: "eth0".to_owned(),
            addresses: vec!["192.0.2.1/24".to_owned()],
            ..GuestInterface::default()
        }],
        user_count: Some(2),
        users: vec!["admin".to_owned()],
        ..Guest::default()
    };
    let guest = Fact::Guest(GuestFacts {
        vm: BUSY,
        as_of_us: 1_700_000_000_000_000,
        guest,
    });
    vec![Fact::Host(host), vm(BUSY, "busy"), vm(IDLE, "Idle_100%"), guest]
}

fn tick(numbers: &Numbers, from: Timestamp, i: i64) -> Tick {
    let cpu_time_ns = CPU_NS * if i < RESET { 1000 + i } else { i - RESET };
    let hosts = table(
        Kind::Host,
        numbers.host,
        &[(host::CPU_USER_NS, i * 2_000_000_000), (host::LOAD_1M, 1500)],
    );
    let mut vms = table(
        Kind::Vm,
        numbers.busy,
        &[
            (vm::STATE, 1),
            (vm::STATE_REASON, 1),
            (vm::CPU_TIME_NS, cpu_time_ns),
            (vm::VCPU_CURRENT, 2),
        ],
    );
    fill(
        &mut vms,
        numbers.idle,
        &[
            (vm::STATE, 3),
            (vm::STATE_REASON, 1),
            (vm::MEMORY_USED_BYTES, 512 << 20),
            (vm::MEMORY_USED_SOURCE, state::FROM_RSS),
        ],
    );
    let mut tables = vec![hosts, vms];
    if i % 5 == 0 {
        tables.push(table(Kind::Disk, numbers.disk, &[(disk::READ_BYTES, i * 4096)]));
    }
    Tick {
        time_us: from.as_microsecond() + i * 1_000_000,
        tables,
        ..Tick::default()
    }
}

fn table(kind: Kind, entity: u32, cells: &[(usize, i64)]) -> Table {
    let mut table = Table::new(kind);
    fill(&mut table, entity, cells);
    table
}

fn fill(table: &mut Table, entity: u32, cells: &[(usize, i64)]) {
    let row = table.push(entity);
    for &(column, number) in cells {
        row[column] = Value::new(number);
    }
}
