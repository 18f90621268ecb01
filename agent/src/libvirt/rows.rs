//! libvirt's statistics as rows of the catalogue.
//!
//! Which field goes to which column is data ([`fields`]); libvirt numbers the fields of devices (`vcpu.0.time`,
//! `block.1.rd.bytes`). A VM's row carries the totals over its devices. What libvirt leaves out stays absent, and fields
//! that no table knows are passed over.

use super::Error;
use super::fields::{DEVICES, Field, VM};
use super::protocol::{Domain, DomainStats, MIN_DOMAIN_BYTES, Parameter, procedure, read_parameter};
use super::xdr::{self, Reader};
use std::collections::HashMap;
use vmscope_model::catalogue::{disk, metrics, state, vcpu, vm};
use vmscope_model::{Entity, Kind, Owner, Record, Value, VmId};

/// Devices of one kind that one VM may have, numbered from 0; more are left out.
const MAX_DEVICES: u32 = 4096;
/// Places in [`DEVICES`].
const VCPU: usize = 0;
const DISK: usize = 1;
const NIC: usize = 2;

/// What is known of one VM at one moment, as columns.
#[derive(Debug)]
pub struct Sheet {
    /// Which VM, in which run.
    pub domain: Domain,
    values: Vec<Value>,
    /// In the order of [`DEVICES`].
    devices: [Vec<Device>; DEVICES.len()],
}

#[derive(Debug)]
struct Device {
    number: u32,
    name: Option<String>,
    values: Vec<Value>,
}

/// The VMs that an answer speaks of.
///
/// # Errors
/// The answer is malformed.
pub fn read(answer: &[u8]) -> Result<Vec<Sheet>, Error> {
    let read = |reader: &mut Reader<'_>| -> Result<_, xdr::Error> {
        let count = reader.count(MIN_DOMAIN_BYTES)?;
        (0..count).map(|_| Sheet::read(reader)).collect()
    };
    read(&mut Reader::new(answer)).map_err(|source| Error::Malformed {
        procedure: procedure::CONNECT_GET_ALL_DOMAIN_STATS,
        source,
    })
}

/// Adds what a second answer of the same moment says to the first one's sheets; VMs that those don't know are passed over.
pub fn merge(sheets: &mut [Sheet], more: Vec<Sheet>) {
    let mut more: HashMap<VmId, Sheet> = more.into_iter().map(|sheet| (sheet.domain.vm, sheet)).collect();
    for sheet in sheets {
        if let Some(other) = more.remove(&sheet.domain.vm)
            && other.domain.is_same_run(&sheet.domain)
        {
            sheet.take_from(other);
        }
    }
}

impl Sheet {
    /// Nothing is known of it yet.
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            values: empty_row(Kind::Vm),
            devices: [const { Vec::new() }; DEVICES.len()],
        }
    }

    /// Reads one domain's record.
    fn read(reader: &mut Reader<'_>) -> Result<Self, xdr::Error> {
        let DomainStats { domain, parameters } = DomainStats::read(reader)?;
        let mut sheet = Self::new(domain);
        for _ in 0..parameters {
            let (name, value) = read_parameter(reader)?;
            sheet.take(name, value);
        }
        Ok(sheet)
    }

    fn take(&mut self, name: &str, value: Parameter<'_>) {
        let Some((place, number, name)) = numbered(name) else {
            return fill(&mut self.values, VM, name, value);
        };
        let kind = &DEVICES[place];
        let Some(device) = device(&mut self.devices[place], kind.kind, number) else {
            return;
        };
        match value {
            Parameter::Text(text) if name == "name" => device.name = Some(text.to_owned()),
            _ => fill(&mut device.values, kind.fields, name, value),
        }
    }

    fn take_from(&mut self, other: Self) {
        for (own, value) in self.values.iter_mut().zip(other.values) {
            if value.get().is_some() {
                *own = value;
            }
        }
        for (own, devices) in self.devices.iter_mut().zip(other.devices) {
            if !devices.is_empty() {
                *own = devices;
            }
        }
    }

    /// The value in a column of the VM.
    pub fn value(&self, column: usize) -> Option<i64> {
        self.values[column].get()
    }

    /// Sets a column of the VM.
    pub fn set(&mut self, column: usize, value: impl Into<Value>) {
        self.values[column] = value.into();
    }

    /// Whether it has a QEMU: it runs, is blocked, paused or suspended (`virDomainState`).
    pub fn is_active(&self) -> bool {
        matches!(self.value(vm::STATE), Some(1 | 2 | 3 | 7))
    }

    /// Whether there is anything that libvirt gives only when it could take the VM's job.
    pub fn heard_qemu(&self) -> bool {
        self.value(vm::MEMORY_RSS_BYTES).is_some() || self.heard_disks()
    }

    /// Whether QEMU has counted a disk's requests.
    pub fn heard_disks(&self) -> bool {
        let mut disks = self.devices[DISK].iter();
        disks.any(|device| device.values[disk::READ_REQUESTS].get().is_some())
    }

    /// Whether the guest's balloon driver has said how memory is used.
    pub fn has_driver(&self) -> bool {
        [
            vm::MEMORY_AVAILABLE_BYTES,
            vm::MEMORY_UNUSED_BYTES,
            vm::MEMORY_USABLE_BYTES,
        ]
        .iter()
        .any(|&column| self.value(column).is_some())
    }

    /// Numbers of the virtual processors that are known.
    pub fn processors(&self) -> Vec<u32> {
        self.devices[VCPU].iter().map(|device| device.number).collect()
    }

    /// Leaves out what the virtual processors have counted.
    pub fn forget_processor_times(&mut self) {
        for device in &mut self.devices[VCPU] {
            for column in [vcpu::TIME_NS, vcpu::WAIT_NS, vcpu::DELAY_NS] {
                device.values[column] = Value::ABSENT;
            }
        }
    }

    /// Adds a virtual processor; they come in the order of their numbers.
    pub fn add_processor(&mut self, number: u32, values: &[(usize, Value)]) {
        if let Some(device) = device(&mut self.devices[VCPU], Kind::Vcpu, number) {
            for &(column, value) in values {
                device.values[column] = value;
            }
        }
    }

    /// The network interfaces that have a name: it, and their row.
    pub fn nics(&self) -> impl Iterator<Item = (&str, &[Value])> {
        let nics = self.devices[NIC].iter();
        nics.filter_map(|nic| Some((nic.name.as_deref()?, nic.values.as_slice())))
    }

    /// Adds the devices up.
    pub fn fill_totals(&mut self) {
        for (devices, kind) in self.devices.iter().zip(&DEVICES) {
            for &(from, to) in kind.totals {
                let known = devices.iter().filter_map(|device| device.values[from].get());
                if let Some(total) = known.reduce(i64::saturating_add) {
                    self.values[to] = Value::new(total);
                }
            }
        }
    }

    /// Memory in use: what the guest's balloon driver gives it, less what could be had without swapping; an old driver
    /// knows only what is wholly unused; without a driver it is what the VM's process holds on the host.
    pub fn fill_used_memory(&mut self) {
        let free = self
            .value(vm::MEMORY_USABLE_BYTES)
            .or(self.value(vm::MEMORY_UNUSED_BYTES));
        let by_balloon = self
            .value(vm::MEMORY_AVAILABLE_BYTES)
            .zip(free)
            .map(|(available, free)| available.saturating_sub(free))
            .filter(|used| *used >= 0)
            .map(|used| (used, state::FROM_BALLOON));
        let by_rss = self.value(vm::MEMORY_RSS_BYTES).map(|rss| (rss, state::FROM_RSS));
        let (used, source) = by_balloon.or(by_rss).unzip();
        self.set(vm::MEMORY_USED_BYTES, used);
        self.set(vm::MEMORY_USED_SOURCE, source);
    }

    /// Adds the VM's row to `record`, and with `devices` one for each device.
    pub fn add_to(self, record: &mut Record, devices: bool) {
        let vm = self.domain.vm;
        record.push(Entity::Vm(vm)).copy_from_slice(&self.values);
        if !devices {
            return;
        }
        let owner = Owner::Vm(vm);
        for (devices, kind) in self.devices.into_iter().zip(&DEVICES) {
            for device in devices {
                let entity = match (kind.kind, device.name) {
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
fn device(devices: &mut Vec<Device>, kind: Kind, number: u32) -> Option<&mut Device> {
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
