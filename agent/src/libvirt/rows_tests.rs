//! The answers in `tests/data` are recorded from libvirt 9.0 with two guests: `vmscope-demo-2` with two processors, then
//! `vmscope-demo-1` with one. The numbers to expect were read from them by another program.

use super::*;
use crate::libvirt::xdr::{put_text, put_u32};
use proptest::prelude::*;
use vmscope_model::catalogue::nic;

const CHEAP: &[u8] = include_bytes!("../../tests/data/cheap.xdr");
const DEAR: &[u8] = include_bytes!("../../tests/data/dear.xdr");
/// `vmscope-demo-1` was stopped, and another call had its job.
const BUSY: &[u8] = include_bytes!("../../tests/data/busy.xdr");

/// A VM that an answer speaks of.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    vm: VmId,
    name: String,
    busy: bool,
}

/// Adds an answer's rows to `record`; returns the VMs.
fn add(
    answer: &[u8],
    devices: bool,
    record: &mut Record,
    change: fn(&mut Sheet),
) -> Result<Vec<Seen>, Error> {
    let add = |mut sheet: Sheet| {
        let seen = Seen {
            vm: sheet.domain.vm,
            name: sheet.domain.name.clone(),
            busy: sheet.is_active() && !sheet.heard_qemu(),
        };
        sheet.fill_totals();
        change(&mut sheet);
        sheet.add_to(record, devices);
        seen
    };
    Ok(read(answer)?.into_iter().map(add).collect())
}

fn cheap(answer: &[u8], devices: bool, record: &mut Record) -> Result<Vec<Seen>, Error> {
    add(answer, devices, record, |_| {})
}

fn dear(answer: &[u8], record: &mut Record) -> Result<Vec<Seen>, Error> {
    add(answer, true, record, |sheet| {
        sheet.set(vm::STATE, None);
        sheet.set(vm::STATE_REASON, None);
        sheet.fill_used_memory();
    })
}

fn vm_id(text: &str) -> VmId {
    text.parse().unwrap()
}

fn second() -> VmId {
    vm_id("202beb5f-fbc0-43e3-91f9-6b0d61354b25")
}

fn first() -> VmId {
    vm_id("0cd5a093-195a-49a1-8a13-c41551198d90")
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

/// Asserts that `row` has exactly these values and no others.
fn assert_row(row: &[Value], expected: &[(usize, i64)]) {
    let found: Vec<_> = (0..)
        .zip(row)
        .filter_map(|(column, value)| Some((column, value.get()?)))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_cheap_answer_becomes_these_rows() {
    let mut record = Record::default();
    let seen = cheap(CHEAP, true, &mut record).unwrap();
    assert_eq!((seen[0].vm, seen[0].name.as_str()), (second(), "vmscope-demo-2"));
    assert_eq!(seen[1].vm, first());
    assert_row(
        row(&record, &Entity::Vm(first())),
        &[
            (vm::STATE, 1),
            (vm::STATE_REASON, 1),
            (vm::CPU_TIME_NS, 720_000_000),
            (vm::CPU_USER_NS, 340_000_000),
            (vm::CPU_SYSTEM_NS, 380_000_000),
            (vm::NET_RX_BYTES, 1466),
            (vm::NET_RX_PACKETS, 18),
            (vm::NET_RX_ERRORS, 0),
            (vm::NET_RX_DROPS, 0),
            (vm::NET_TX_BYTES, 300),
            (vm::NET_TX_PACKETS, 5),
            (vm::NET_TX_ERRORS, 0),
            (vm::NET_TX_DROPS, 0),
        ],
    );
    let nic = row(
        &record,
        &Entity::Nic {
            owner: Owner::Vm(second()),
            name: "vnet3".into(),
        },
    );
    assert_eq!(nic[nic::RX_PACKETS].get(), Some(18));
    assert_eq!(record.dictionary.len(), 4);
}

#[test]
fn interfaces_have_rows_only_when_wanted() {
    let mut record = Record::default();
    cheap(CHEAP, false, &mut record).unwrap();
    assert_eq!(record.dictionary, [Entity::Vm(second()), Entity::Vm(first())]);
}

#[test]
fn the_dear_answer_becomes_these_rows() {
    let mut record = Record::default();
    let seen = dear(DEAR, &mut record).unwrap();
    assert!(seen.iter().all(|seen| !seen.busy));
    assert_row(
        row(&record, &Entity::Vm(second())),
        &[
            (vm::VCPU_CURRENT, 2),
            (vm::VCPU_MAXIMUM, 2),
            (vm::VCPU_TIME_NS, 190_000_000),
            (vm::VCPU_WAIT_NS, 0),
            (vm::VCPU_DELAY_NS, 374_033_884 + 49_353_560),
            (vm::MEMORY_CURRENT_BYTES, 16 << 20),
            (vm::MEMORY_MAXIMUM_BYTES, 16 << 20),
            (vm::MEMORY_RSS_BYTES, 42_276 * 1024),
            (vm::MEMORY_USED_BYTES, 42_276 * 1024),
            (vm::MEMORY_USED_SOURCE, state::FROM_RSS),
            (vm::DISK_READ_REQUESTS, 7),
            (vm::DISK_READ_BYTES, 49_664),
            (vm::DISK_READ_NS, 45_622_531),
            (vm::DISK_WRITE_REQUESTS, 6),
            (vm::DISK_WRITE_BYTES, 24_576),
            (vm::DISK_WRITE_NS, 87_280_202),
            (vm::DISK_FLUSH_REQUESTS, 0),
            (vm::DISK_FLUSH_NS, 0),
            (vm::DISK_ALLOCATION_BYTES, 36_864),
            (vm::DISK_CAPACITY_BYTES, 1 << 20),
            (vm::DISK_PHYSICAL_BYTES, 8192),
        ],
    );
    let processor = Entity::Vcpu {
        owner: Owner::Vm(second()),
        index: 1,
    };
    let expected = [
        (vcpu::STATE, 1),
        (vcpu::TIME_NS, 0),
        (vcpu::WAIT_NS, 0),
        (vcpu::DELAY_NS, 49_353_560),
    ];
    assert_row(row(&record, &processor), &expected);
    let disk = row(
        &record,
        &Entity::Disk {
            owner: Owner::Vm(first()),
            name: "vda".into(),
        },
    );
    assert_eq!(disk[disk::WRITE_NS].get(), Some(134_367_209));
}

#[test]
fn a_vm_held_by_another_job_is_busy_and_keeps_what_is_known() {
    let mut record = Record::default();
    let seen = dear(BUSY, &mut record).unwrap();
    let busy: Vec<_> = seen.iter().map(|seen| (seen.vm, seen.busy)).collect();
    assert_eq!(busy, [(second(), false), (first(), true)]);
    let values = row(&record, &Entity::Vm(first()));
    assert_eq!(values[vm::VCPU_TIME_NS].get(), Some(170_000_000));
    assert_eq!(values[vm::MEMORY_USED_BYTES].get(), None);
}

/// An answer of one running domain with these parameters, all of libvirt's type for unsigned 64 bits.
fn answer(parameters: &[(&str, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_u32(&mut out, 1);
    put_text(&mut out, "guest");
    out.extend_from_slice(first().0.as_bytes());
    put_u32(&mut out, 1);
    put_u32(&mut out, u32::try_from(parameters.len()).unwrap());
    for (name, value) in parameters {
        put_text(&mut out, name);
        put_u32(&mut out, 4);
        out.extend_from_slice(&value.to_be_bytes());
    }
    out
}

fn used_memory(parameters: &[(&str, u64)]) -> (Option<i64>, Option<i64>) {
    let mut record = Record::default();
    dear(&answer(parameters), &mut record).unwrap();
    let values = row(&record, &Entity::Vm(first()));
    (
        values[vm::MEMORY_USED_BYTES].get(),
        values[vm::MEMORY_USED_SOURCE].get(),
    )
}

#[test]
fn used_memory_comes_from_the_best_source_there_is() {
    let (rss, available) = (("balloon.rss", 900), ("balloon.available", 1000));
    let (unused, usable) = (("balloon.unused", 100), ("balloon.usable", 600));
    let balloon = Some(state::FROM_BALLOON);
    assert_eq!(
        used_memory(&[rss, available, unused, usable]),
        (Some(400 * 1024), balloon)
    );
    assert_eq!(
        used_memory(&[rss, available, unused]),
        (Some(900 * 1024), balloon)
    );
    assert_eq!(
        used_memory(&[rss, available]),
        (Some(900 * 1024), Some(state::FROM_RSS))
    );
    assert_eq!(used_memory(&[]), (None, None));
}

#[test]
fn a_second_answer_adds_to_the_vms_of_the_first() {
    let mut sheets = read(&answer(&[("state.state", 1)])).unwrap();
    merge(
        &mut sheets,
        read(&answer(&[("cpu.time", 7), ("net.0.rx.bytes", 3)])).unwrap(),
    );
    sheets[0].fill_totals();
    let known = [vm::STATE, vm::CPU_TIME_NS, vm::NET_RX_BYTES].map(|column| sheets[0].value(column));
    assert_eq!(known, [Some(1), Some(7), Some(3)]);
    merge(&mut sheets, read(CHEAP).unwrap());
    assert_eq!(sheets[0].value(vm::CPU_TIME_NS), Some(7), "another run of the vm");
}

#[test]
fn a_vm_that_is_off_is_not_busy() {
    for (state, busy) in [(1, true), (3, true), (5, false)] {
        let answer = answer(&[("state.state", state)]);
        let mut record = Record::default();
        assert_eq!(dear(&answer, &mut record).unwrap()[0].busy, busy);
    }
}

/// A collector refuses a state that no column holds, and would have refused it again after each reconnect, for ever.
#[test]
fn a_code_that_no_column_holds_is_passed_over() {
    let parameters = [
        ("state.state", 70_000),
        ("state.reason", 1),
        ("vcpu.0.state", u64::MAX),
    ];
    let mut record = Record::default();
    cheap(&answer(&parameters), true, &mut record).unwrap();
    assert_row(row(&record, &Entity::Vm(first())), &[(vm::STATE_REASON, 1)]);
    let processor = Entity::Vcpu {
        owner: Owner::Vm(first()),
        index: 0,
    };
    assert_row(row(&record, &processor), &[]);
}

#[test]
fn a_device_that_comes_twice_counts_once() {
    let parameters = [("vcpu.1.time", 5), ("vcpu.0.time", 7), ("vcpu.1.time", 9)];
    let mut record = Record::default();
    dear(&answer(&parameters), &mut record).unwrap();
    assert_eq!(
        row(&record, &Entity::Vm(first()))[vm::VCPU_TIME_NS].get(),
        Some(9)
    );
    assert_eq!(record.dictionary.len(), 2);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(answer in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = dear(&answer, &mut Record::default());
        let _ = cheap(&answer, true, &mut Record::default());
    }

    #[test]
    fn a_damaged_answer_never_panics(place in 0..DEAR.len(), byte in any::<u8>(), end in 0..=DEAR.len()) {
        let mut answer = DEAR.to_vec();
        answer[place] = byte;
        let _ = dear(&answer[..end], &mut Record::default());
    }
}
