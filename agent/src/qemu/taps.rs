//! Counters of the VMs' network interfaces out of `/proc/net/dev`.
//!
//! libvirt names the interfaces, and takes their counters from the same file: what a tap device transmits, the guest receives; a
//! macvtap device is counted from the guest's side already. An interface that has neither kind, or whose counters are not those that libvirt
//! says (Open vSwitch and vhost-user count elsewhere, another network namespace has other devices), is left to libvirt.

use crate::host::file::KeptFile;
use crate::host::parse::{lines, numbers, words};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use vmscope_model::catalogue::{nic, vm};
use vmscope_model::{Value, VmId};

/// Numbers of a line of `/proc/net/dev` that are looked at.
const FIELDS: usize = 12;
/// Column of the interface, column of the VM, place in the line of a tap device, and of one that is not turned round.
const COLUMNS: [(usize, usize, usize, usize); COUNTERS] = [
    (nic::RX_BYTES, vm::NET_RX_BYTES, 8, 0),
    (nic::RX_PACKETS, vm::NET_RX_PACKETS, 9, 1),
    (nic::RX_ERRORS, vm::NET_RX_ERRORS, 10, 2),
    (nic::RX_DROPS, vm::NET_RX_DROPS, 11, 3),
    (nic::TX_BYTES, vm::NET_TX_BYTES, 0, 8),
    (nic::TX_PACKETS, vm::NET_TX_PACKETS, 1, 9),
    (nic::TX_ERRORS, vm::NET_TX_ERRORS, 2, 10),
    (nic::TX_DROPS, vm::NET_TX_DROPS, 3, 11),
];
const COUNTERS: usize = 8;

/// In the order of [`COLUMNS`].
type Counters = [i64; COUNTERS];

/// The interfaces of the VMs that run.
#[derive(Debug)]
pub struct Taps {
    net_dev: KeptFile,
    class: PathBuf,
    buffer: Vec<u8>,
    of_vms: HashMap<VmId, Vec<String>>,
    devices: HashMap<String, Tap>,
    /// Number of the last reading.
    reading: u64,
}

#[derive(Debug)]
struct Tap {
    is_turned: bool,
    /// libvirt says the same of it.
    is_trusted: bool,
    now: Counters,
    /// At the reading before.
    before: Counters,
    /// The reading of `now`.
    read: u64,
}

impl Taps {
    /// Of the host whose `proc` and `sys` are below `root`.
    pub fn new(root: &Path) -> Self {
        // In a container `self` shows the container; the host's first process is in the host's name spaces.
        let process = if root == Path::new("/") { "self" } else { "1" };
        Self {
            net_dev: KeptFile::new(root.join("proc").join(process).join("net/dev")),
            class: root.join("sys/class/net"),
            buffer: Vec::new(),
            of_vms: HashMap::new(),
            devices: HashMap::new(),
            reading: 0,
        }
    }

    /// Reads the counters of all known interfaces.
    pub fn read(&mut self) {
        self.reading += 1;
        let text = self.net_dev.read(&mut self.buffer).unwrap_or_default();
        for line in lines(text) {
            let Some((name, values)) = interface(line) else {
                continue;
            };
            if let Some(tap) = self.devices.get_mut(name) {
                tap.before = std::mem::replace(&mut tap.now, turn(values, tap.is_turned));
                tap.read = self.reading;
            }
        }
    }

    /// The totals over a VM's interfaces; `None` if one of them must be asked of libvirt.
    pub fn totals(&self, vm: VmId) -> Option<impl Iterator<Item = (usize, Value)>> {
        let names = self.of_vms.get(&vm)?;
        let nothing = if names.is_empty() {
            Value::ABSENT
        } else {
            Value::new(0)
        };
        let mut totals = [nothing; COUNTERS];
        for name in names {
            let tap = self
                .devices
                .get(name)
                .filter(|tap| tap.is_trusted && tap.read == self.reading)?;
            for (total, counter) in totals.iter_mut().zip(tap.now) {
                *total = total.get().map(|total| total.saturating_add(counter)).into();
            }
        }
        Some(
            COLUMNS
                .into_iter()
                .zip(totals)
                .map(|((_, column, ..), total)| (column, total)),
        )
    }

    /// libvirt has said, between the last two readings, that these are the VM's interfaces and what they have counted.
    pub fn learn<'a>(&mut self, vm: VmId, nics: impl Iterator<Item = (&'a str, &'a [Value])>) {
        let names = self.of_vms.entry(vm).or_default();
        names.clear();
        for (name, row) in nics {
            if row.iter().all(|value| value.get().is_none()) {
                continue;
            }
            names.push(name.to_owned());
            let Some(said) = counters(row) else {
                continue;
            };
            let tap = match self.devices.get_mut(name) {
                Some(tap) => tap,
                None => match kind(&self.class.join(name)) {
                    Some(is_turned) => self
                        .devices
                        .entry(name.to_owned())
                        .or_insert(Tap::new(is_turned, said)),
                    None => continue,
                },
            };
            // A new one is believed when the next reading is compared.
            tap.is_trusted = if tap.read == self.reading {
                let (least, most) = (tap.before.iter(), tap.now.iter());
                least.zip(&said).all(|(least, said)| least <= said)
                    && said.iter().zip(most).all(|(said, most)| said <= most)
            } else {
                false
            };
        }
    }

    /// Forgets the VMs that `is_there` says no to, and interfaces that are nobody's.
    pub fn retain(&mut self, is_there: impl Fn(VmId) -> bool) {
        let before = self.of_vms.len();
        self.of_vms.retain(|vm, _| is_there(*vm));
        if self.of_vms.len() != before {
            let of_vms = &self.of_vms;
            self.devices
                .retain(|name, _| of_vms.values().flatten().any(|known| known == name));
        }
    }
}

impl Tap {
    const fn new(is_turned: bool, said: Counters) -> Self {
        Self {
            is_turned,
            is_trusted: false,
            now: said,
            before: said,
            read: 0,
        }
    }
}

/// Whether the device is a tap (true) or a macvtap (false); `None` if it is something else.
fn kind(folder: &Path) -> Option<bool> {
    if folder.join("tun_flags").exists() {
        Some(true)
    } else {
        folder.join("macvtap").exists().then_some(false)
    }
}

/// What libvirt says of an interface, if it says all.
fn counters(row: &[Value]) -> Option<Counters> {
    let mut counters = [0; COUNTERS];
    for (counter, (column, ..)) in counters.iter_mut().zip(COLUMNS) {
        *counter = row[column].get()?;
    }
    Some(counters)
}

fn turn(values: [i64; FIELDS], is_turned: bool) -> Counters {
    COLUMNS.map(|(_, _, turned, straight)| values[if is_turned { turned } else { straight }])
}

/// Name and numbers of a line; `None` of the headings.
fn interface(line: &[u8]) -> Option<(&str, [i64; FIELDS])> {
    // A wide counter may follow the colon without a blank.
    let colon = line.iter().position(|&byte| byte == b':')?;
    let mut values = [0; FIELDS];
    if numbers(words(&line[colon + 1..]), &mut values) < FIELDS {
        return None;
    }
    Some((std::str::from_utf8(line[..colon].trim_ascii()).ok()?, values))
}

#[cfg(test)]
#[path = "taps_tests.rs"]
mod tests;
