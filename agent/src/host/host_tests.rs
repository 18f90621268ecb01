use super::*;
use std::fs;
use vmscope_model::Owner;
use vmscope_model::catalogue::{disk, host, nic, vcpu};

/// A small `/proc` and `/sys` with round numbers: one hardware disk beside a partition and a loop, one hardware network
/// interface beside a tap.
fn recorded() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "proc/stat",
        "cpu  100 1 50 1000 20 3 4 5 60 7\ncpu0 40 1 30 500 15 1 2 5 60 7\ncpu1 60 0 20 500 5 2 2 0 0 0\n\
         intr 5 1 2\nctxt 777\nbtime 1700000000\nprocesses 88\nprocs_running 3\nprocs_blocked 1\n",
    );
    write(
        "proc/meminfo",
        "MemTotal:       1000 kB\nMemFree:         200 kB\nMemAvailable:    600 kB\nBuffers:          10 kB\n\
         Cached:          300 kB\nSwapCached:        9 kB\nSwapTotal:        50 kB\nSwapFree:         40 kB\nDirty: 7 kB\n",
    );
    write("proc/vmstat", "nr_free_pages 5\npswpin 11\npswpout 12\n");
    write("proc/loadavg", "2.37 1.61 0.05 3/164 23961\n");
    write("proc/uptime", "2102.90 2729.51\n");
    write(
        "proc/diskstats",
        "   7       0 loop0 9 9 9 9 9 9 9 9 9 9 9\n\
         254       0 sda 10 1 20 30 40 2 80 50 0 60 80 0 0 0 0 5 6\n\
         254       1 sda1 10 1 20 30 40 2 80 50 0 60 80 0 0 0 0 5 6\n",
    );
    write(
        "proc/1/net/dev",
        "Inter-|   Receive |  Transmit\n face |bytes packets|bytes\n\
         lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n\
         vnet0: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n",
    );
    write(
        "proc/1/mountinfo",
        "22 27 0:21 / /proc rw - proc proc rw\n27 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
    );
    write("sys/block/sda/size", "4096\n");
    write("sys/block/sda/device/model", "disk\n");
    write("sys/block/loop0/size", "8\n");
    write("sys/class/net/eth0/device/vendor", "0x1af4\n");
    write("sys/class/net/vnet0/mtu", "1500\n");
    root
}

fn row<'r>(record: &'r Record, entity: &Entity) -> &'r [Value] {
    let number = record
        .dictionary
        .iter()
        .position(|known| known == entity)
        .unwrap();
    let table = record
        .tick
        .tables
        .iter()
        .find(|table| table.kind == entity.kind())
        .unwrap();
    table.rows().find(|(row, _)| *row as usize == number).unwrap().1
}

fn assert_columns(row: &[Value], expected: &[(usize, i64)]) {
    for &(column, value) in expected {
        assert_eq!(row[column].get(), Some(value), "column {column}");
    }
}

#[test]
fn a_recorded_tree_gives_exactly_its_numbers() {
    let root = recorded();
    let record = HostSampler::new(root.path()).sample(true, &[]);
    let values = row(&record, &Entity::Host);
    assert!(
        values[..host::AGENT_BUFFER_BYTES]
            .iter()
            .all(|value| value.get().is_some()),
        "{values:?}"
    );
    assert_columns(
        values,
        &[
            (host::CPU_USER_NS, 1_000_000_000),
            (host::CPU_IDLE_NS, 10_000_000_000),
            (host::CPU_IRQ_NS, 70_000_000),
            (host::CPU_STEAL_NS, 50_000_000),
            (host::CPU_GUEST_NS, 670_000_000),
            (host::CPU_COUNT, 2),
            (host::LOAD_1M, 2370),
            (host::LOAD_15M, 50),
            (host::PROCS_RUNNING, 3),
            (host::CONTEXT_SWITCHES, 777),
            (host::FORKS, 88),
            (host::MEMORY_TOTAL_BYTES, 1_024_000),
            (host::MEMORY_CACHED_BYTES, 307_200),
            (host::SWAP_FREE_BYTES, 40_960),
            (host::SWAP_OUT_PAGES, 12),
            (host::DISK_READ_REQUESTS, 10),
            (host::DISK_READ_BYTES, 10_240),
            (host::DISK_WRITE_NS, 50_000_000),
            (host::NET_RX_BYTES, 1000),
            (host::NET_TX_DROPS, 4),
            (host::UPTIME_S, 2102),
        ],
    );
}

#[test]
fn devices_have_their_own_rows() {
    let root = recorded();
    let record = HostSampler::new(root.path()).sample(true, &[]);
    let owner = Owner::Host;
    let core = row(&record, &Entity::Vcpu { owner, index: 1 });
    assert_columns(
        core,
        &[
            (vcpu::STATE, 1),
            (vcpu::TIME_NS, 840_000_000),
            (vcpu::WAIT_NS, 50_000_000),
        ],
    );
    let disk_row = row(
        &record,
        &Entity::Disk {
            owner,
            name: "sda".into(),
        },
    );
    let expected = [
        (disk::WRITE_BYTES, 40_960),
        (disk::FLUSH_NS, 6_000_000),
        (disk::CAPACITY_BYTES, 2 << 20),
    ];
    assert_columns(disk_row, &expected);
    let nic_row = row(
        &record,
        &Entity::Nic {
            owner,
            name: "eth0".into(),
        },
    );
    assert_columns(nic_row, &[(nic::RX_ERRORS, 1), (nic::TX_PACKETS, 20)]);
    assert!(record.dictionary.contains(&Entity::Disk {
        owner,
        name: "/".into()
    }));
    assert_eq!(record.dictionary.len(), 6, "{:?}", record.dictionary);
}

#[test]
fn devices_have_no_rows_at_the_short_interval() {
    let root = recorded();
    let record = HostSampler::new(root.path()).sample(false, &[]);
    assert_eq!(record.dictionary, [Entity::Host]);
}

#[test]
fn a_missing_file_leaves_only_its_own_metrics_absent() {
    let root = recorded();
    let mut sampler = HostSampler::new(root.path());
    fs::remove_file(root.path().join("proc/vmstat")).unwrap();
    let record = sampler.sample(false, &[]);
    let values = row(&record, &Entity::Host);
    assert_eq!(values[host::SWAP_IN_PAGES].get(), None);
    assert_eq!(values[host::LOAD_1M].get(), Some(2370));

    fs::write(root.path().join("proc/vmstat"), "pswpin 13\n").unwrap();
    let record = sampler.sample(false, &[]);
    assert_eq!(row(&record, &Entity::Host)[host::SWAP_IN_PAGES].get(), Some(13));
}

#[test]
fn kept_descriptors_read_fresh_numbers_of_this_machine() {
    let mut sampler = HostSampler::new(Path::new("/"));
    let before = sampler.sample(false, &[]);
    // The kernel counts a thread as a fork, so that at least this number has changed.
    std::thread::spawn(|| ()).join().unwrap();
    let file = fs::read_to_string("/proc/stat").unwrap();
    let after = sampler.sample(true, &[]);
    let mut words = file
        .lines()
        .find(|line| line.starts_with("processes "))
        .unwrap()
        .split_whitespace();
    let forks: i64 = words.nth(1).unwrap().parse().unwrap();
    let value = |record: &Record, column: usize| row(record, &Entity::Host)[column].get().unwrap();
    assert!(value(&before, host::FORKS) < forks && forks <= value(&after, host::FORKS));
    let cores = fs::read_to_string("/proc/cpuinfo")
        .unwrap()
        .matches("processor\t")
        .count();
    assert_eq!(usize::try_from(value(&after, host::CPU_COUNT)), Ok(cores));
    assert!(value(&after, host::FS_USED_BYTES) < value(&after, host::FS_TOTAL_BYTES));
}
