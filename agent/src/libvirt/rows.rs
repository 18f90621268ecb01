//! libvirt's statistics as rows of the catalogue.
//!
//! Which field goes to which column is data: one table for the VM itself and one for each kind of device, whose fields
//! libvirt numbers (`vcpu.0.time`, `block.1.rd.bytes`). A VM's row carries the totals over its devices. What libvirt
//! leaves out stays absent, and fields that no table knows are passed over.

use super::Error;
use super::protocol::{DomainStats, MIN_DOMAIN_BYTES, Parameter, procedure, read_parameter};
use super::xdr::{self, Reader};
use std::ops::RangeInclusive;
use uuid::Uuid;
use vmscope_model::catalogue::{disk, metrics, nic, state, vcpu, vm};
use vmscope_model::{Entity, Kind, Owner, Record, Value, VmId};

/// Devices of one kind that one VM may have, numbered from 0; more are left out.
const MAX_DEVICES: u32 = 4096;
/// libvirt gives memory in these.
const KIB: i64 = 1024;

/// A field of libvirt, where it goes, what makes its unit ours, and the range beyond which it makes no sense.
struct Field {
    name: &'static str,
    column: usize,
    factor: i64,
    range: RangeInclusive<i64>,
}

const fn field(name: &'static str, column: usize) -> Field {
    Field {
        name,
        column,
        factor: 1,
        range: i64::MIN..=i64::MAX,
    }
}

const fn kib(name: &'static str, column: usize) -> Field {
    Field {
        factor: KIB,
        ..field(name, column)
    }
}

/// A state's code is small. One that is not would be refused by the collector for ever, and everything behind it too.
const fn code(name: &'static str, column: usize) -> Field {
    Field {
        range: 0..=i16::MAX as i64,
        ..field(name, column)
    }
}

const VM: &[Field] = &[
    code("state.state", vm::STATE),
    code("state.reason", vm::STATE_REASON),
    field("cpu.time", vm::CPU_TIME_NS),
    field("cpu.user", vm::CPU_USER_NS),
    field("cpu.system", vm::CPU_SYSTEM_NS),
    field("vcpu.current", vm::VCPU_CURRENT),
    field("vcpu.maximum", vm::VCPU_MAXIMUM),
    kib("balloon.current", vm::MEMORY_CURRENT_BYTES),
    kib("balloon.maximum", vm::MEMORY_MAXIMUM_BYTES),
    kib("balloon.available", vm::MEMORY_AVAILABLE_BYTES),
    kib("balloon.unused", vm::MEMORY_UNUSED_BYTES),
    kib("balloon.usable", vm::MEMORY_USABLE_BYTES),
    kib("balloon.disk_caches", vm::MEMORY_DISK_CACHES_BYTES),
    kib("balloon.rss", vm::MEMORY_RSS_BYTES),
    kib("balloon.swap_in", vm::MEMORY_SWAP_IN_BYTES),
    kib("balloon.swap_out", vm::MEMORY_SWAP_OUT_BYTES),
    field("balloon.major_fault", vm::MEMORY_MAJOR_FAULTS),
    field("balloon.minor_fault", vm::MEMORY_MINOR_FAULTS),
];

/// A kind of device: how libvirt calls it, its fields, and which of its columns add up to which of the VM's.
struct DeviceKind {
    prefix: &'static str,
    kind: Kind,
    fields: &'static [Field],
    totals: &'static [(usize, usize)],
}

const DEVICES: [DeviceKind; 3] = [
    DeviceKind {
        prefix: "vcpu",
        kind: Kind::Vcpu,
        fields: &[
            code("state", vcpu::STATE),
            field("time", vcpu::TIME_NS),
            field("wait", vcpu::WAIT_NS),
            field("halted", vcpu::HALTED),
            field("delay", vcpu::DELAY_NS),
        ],
        totals: &[
            (vcpu::TIME_NS, vm::VCPU_TIME_NS),
            (vcpu::WAIT_NS, vm::VCPU_WAIT_NS),
            (vcpu::HALTED, vm::VCPU_HALTED),
            (vcpu::DELAY_NS, vm::VCPU_DELAY_NS),
        ],
    },
    DeviceKind {
        prefix: "block",
        kind: Kind::Disk,
        fields: &[
            field("rd.reqs", disk::READ_REQUESTS),
            field("rd.bytes", disk::READ_BYTES),
            field("rd.times", disk::READ_NS),
            field("wr.reqs", disk::WRITE_REQUESTS),
            field("wr.bytes", disk::WRITE_BYTES),
            field("wr.times", disk::WRITE_NS),
            field("fl.reqs", disk::FLUSH_REQUESTS),
            field("fl.times", disk::FLUSH_NS),
            field("errors", disk::ERRORS),
            field("allocation", disk::ALLOCATION_BYTES),
            field("capacity", disk::CAPACITY_BYTES),
            field("physical", disk::PHYSICAL_BYTES),
        ],
        totals: &[
            (disk::READ_REQUESTS, vm::DISK_READ_REQUESTS),
            (disk::READ_BYTES, vm::DISK_READ_BYTES),
            (disk::READ_NS, vm::DISK_READ_NS),
            (disk::WRITE_REQUESTS, vm::DISK_WRITE_REQUESTS),
            (disk::WRITE_BYTES, vm::DISK_WRITE_BYTES),
            (disk::WRITE_NS, vm::DISK_WRITE_NS),
            (disk::FLUSH_REQUESTS, vm::DISK_FLUSH_REQUESTS),
            (disk::FLUSH_NS, vm::DISK_FLUSH_NS),
            (disk::ERRORS, vm::DISK_ERRORS),
            (disk::ALLOCATION_BYTES, vm::DISK_ALLOCATION_BYTES),
            (disk::CAPACITY_BYTES, vm::DISK_CAPACITY_BYTES),
            (disk::PHYSICAL_BYTES, vm::DISK_PHYSICAL_BYTES),
        ],
    },
    DeviceKind {
        prefix: "net",
        kind: Kind::Nic,
        fields: &[
            field("rx.bytes", nic::RX_BYTES),
            field("rx.pkts", nic::RX_PACKETS),
            field("rx.errs", nic::RX_ERRORS),
            field("rx.drop", nic::RX_DROPS),
            field("tx.bytes", nic::TX_BYTES),
            field("tx.pkts", nic::TX_PACKETS),
            field("tx.errs", nic::TX_ERRORS),
            field("tx.drop", nic::TX_DROPS),
        ],
        totals: &[
            (nic::RX_BYTES, vm::NET_RX_BYTES),
            (nic::RX_PACKETS, vm::NET_RX_PACKETS),
            (nic::RX_ERRORS, vm::NET_RX_ERRORS),
            (nic::RX_DROPS, vm::NET_RX_DROPS),
            (nic::TX_BYTES, vm::NET_TX_BYTES),
            (nic::TX_PACKETS, vm::NET_TX_PACKETS),
            (nic::TX_ERRORS, vm::NET_TX_ERRORS),
            (nic::TX_DROPS, vm::NET_TX_DROPS),
        ],
    },
];

/// One VM's statistics, as columns.
struct Sheet<'a> {
    name: &'a str,
    vm: VmId,
    values: Vec<Value>,
    /// In the order of [`DEVICES`].
    devices: [Vec<Device<'a>>; DEVICES.len()],
}

struct Device<'a> {
    number: u32,
    name: Option<&'a str>,
    values: Vec<Value>,
}

/// A VM that an answer speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Which VM.
    pub vm: VmId,
    /// Name of its domain.
    pub name: &'a str,
    /// It runs, and libvirt left out what QEMU must be asked for, because another job holds the VM.
    pub busy: bool,
}

/// Adds the rows of an answer in the cheap groups to `record`: one for each VM, and with `devices` one for each network
/// interface. Returns the VMs.
///
/// # Errors
/// The answer is malformed; `record` then has rows of its beginning.
pub fn cheap<'a>(answer: &'a [u8], devices: bool, record: &mut Record) -> Result<Vec<Seen<'a>>, Error> {
    each_vm(answer, |sheet| {
        let seen = Seen {
            vm: sheet.vm,
            name: sheet.name,
            busy: false,
        };
        sheet.add_to(record, devices);
        seen
    })
}

/// Adds the rows of an answer in the dear groups to `record`: one for each VM, its processors and its disks. Returns
/// the VMs.
///
/// # Errors
/// The answer is malformed; `record` then has rows of its beginning.
pub fn dear<'a>(answer: &'a [u8], record: &mut Record) -> Result<Vec<Seen<'a>>, Error> {
    each_vm(answer, |mut sheet| {
        let seen = Seen {
            vm: sheet.vm,
            name: sheet.name,
            busy: sheet.is_active() && !sheet.heard_qemu(),
        };
        // The state came along for the line above; it is the cheap group's to report.
        sheet.values[vm::STATE] = Value::ABSENT;
        sheet.values[vm::STATE_REASON] = Value::ABSENT;
        sheet.fill_used_memory();
        sheet.add_to(record, true);
        seen
    })
}

fn each_vm<'a>(
    answer: &'a [u8],
    mut take: impl FnMut(Sheet<'a>) -> Seen<'a>,
) -> Result<Vec<Seen<'a>>, Error> {
    let mut read = |reader: &mut Reader<'a>| -> Result<_, xdr::Error> {
        let count = reader.count(MIN_DOMAIN_BYTES)?;
        (0..count).map(|_| Sheet::read(reader).map(&mut take)).collect()
    };
    read(&mut Reader::new(answer)).map_err(|source| Error::Malformed {
        procedure: procedure::CONNECT_GET_ALL_DOMAIN_STATS,
        source,
    })
}

impl<'a> Sheet<'a> {
    /// Reads one domain's record, totals included.
    fn read(reader: &mut Reader<'a>) -> Result<Self, xdr::Error> {
        let domain = DomainStats::read(reader)?;
        let mut sheet = Self {
            name: domain.name,
            vm: VmId(Uuid::from_bytes(domain.uuid)),
            values: empty_row(Kind::Vm),
            devices: [const { Vec::new() }; DEVICES.len()],
        };
        for _ in 0..domain.parameters {
            let (name, value) = read_parameter(reader)?;
            sheet.take(name, value);
        }
        sheet.fill_totals();
        Ok(sheet)
    }

    fn take(&mut self, name: &str, value: Parameter<'a>) {
        let Some((place, number, name)) = numbered(name) else {
            return fill(&mut self.values, VM, name, value);
        };
        let kind = &DEVICES[place];
        let Some(device) = device(&mut self.devices[place], kind.kind, number) else {
            return;
        };
        match value {
            Parameter::Text(text) if name == "name" => device.name = Some(text),
            _ => fill(&mut device.values, kind.fields, name, value),
        }
    }

    fn fill_totals(&mut self) {
        for (devices, kind) in self.devices.iter().zip(&DEVICES) {
            for &(from, to) in kind.totals {
                let known = devices.iter().filter_map(|device| device.values[from].get());
                self.values[to] = known.reduce(i64::saturating_add).into();
            }
        }
    }

    /// Memory in use: what the guest's balloon driver gives it, less what could be had without swapping; an old driver
    /// knows only what is wholly unused; without a driver it is what the VM's process holds on the host.
    fn fill_used_memory(&mut self) {
        let value = |column: usize| self.values[column].get();
        let free = value(vm::MEMORY_USABLE_BYTES).or(value(vm::MEMORY_UNUSED_BYTES));
        let by_balloon = value(vm::MEMORY_AVAILABLE_BYTES)
            .zip(free)
            .map(|(available, free)| available.saturating_sub(free))
            .filter(|used| *used >= 0)
            .map(|used| (used, state::FROM_BALLOON));
        let by_rss = value(vm::MEMORY_RSS_BYTES).map(|rss| (rss, state::FROM_RSS));
        let (used, source) = by_balloon.or(by_rss).unzip();
        self.values[vm::MEMORY_USED_BYTES] = used.into();
        self.values[vm::MEMORY_USED_SOURCE] = source.into();
    }

    /// Whether it has a QEMU that can be asked: it runs, is blocked, paused or suspended (`virDomainState`).
    fn is_active(&self) -> bool {
        matches!(self.values[vm::STATE].get(), Some(1 | 2 | 3 | 7))
    }

    /// Whether there is anything that libvirt gives only when it could take the VM's job.
    fn heard_qemu(&self) -> bool {
        [vm::MEMORY_RSS_BYTES, vm::DISK_READ_REQUESTS]
            .iter()
            .any(|&column| self.values[column].get().is_some())
    }

    fn add_to(self, record: &mut Record, devices: bool) {
        record.push(Entity::Vm(self.vm)).copy_from_slice(&self.values);
        if !devices {
            return;
        }
        let owner = Owner::Vm(self.vm);
        for (devices, kind) in self.devices.into_iter().zip(&DEVICES) {
            for device in devices {
                let name = device.name.map(str::to_owned);
                let entity = match (kind.kind, name) {
                    (Kind::Disk, Some(name)) => Entity::Disk { owner, name },
                    (Kind::Nic, Some(name)) => Entity::Nic { owner, name },
                    (Kind::Vcpu, _) => Entity::Vcpu {
                        owner,
                        index: device.number,
                    },
                    // Without a name nobody could tell whose numbers these are.
                    _ => continue,
                };
                record.push(entity).copy_from_slice(&device.values);
            }
        }
    }
}

fn empty_row(kind: Kind) -> Vec<Value> {
    vec![Value::ABSENT; metrics(kind).len()]
}

/// Splits `block.1.rd.bytes` into the place of `block` in [`DEVICES`], 1 and `rd.bytes`.
fn numbered(name: &str) -> Option<(usize, u32, &str)> {
    let (prefix, rest) = name.split_once('.')?;
    let place = DEVICES.iter().position(|kind| kind.prefix == prefix)?;
    let (number, field) = rest.split_once('.')?;
    Some((place, number.parse().ok()?, field))
}

/// The device with this number, new if it is the next. libvirt numbers upwards; what goes back is passed over, so that
/// no device comes twice.
fn device<'d, 'a>(devices: &'d mut Vec<Device<'a>>, kind: Kind, number: u32) -> Option<&'d mut Device<'a>> {
    let is_next = devices.last().is_none_or(|last| last.number < number);
    if is_next && number < MAX_DEVICES {
        devices.push(Device {
            number,
            name: None,
            values: empty_row(kind),
        });
    }
    devices.last_mut().filter(|last| last.number == number)
}

/// Puts `value` where `fields` say; unknown names, values that are no integers and those out of range are passed over.
fn fill(values: &mut [Value], fields: &[Field], name: &str, value: Parameter<'_>) {
    if let Parameter::Integer(number) = value
        && let Some(field) = fields.iter().find(|field| field.name == name)
        && field.range.contains(&number)
    {
        values[field.column] = Value::new(number.saturating_mul(field.factor));
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
