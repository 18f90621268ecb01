//! What the host itself says about its load, and what this agent adds to it: `/proc` and `/sys`, read with kept descriptors into one kept buffer.
//!
//! A file that can't be read is named once in the log and its metrics stay absent; everything else goes on. Which devices
//! there are and how full the file systems are is looked up every [`INVENTORY_PERIOD`] and kept in between.
//! The reads block (a file system on a dying disk for long): the sampler calls from a thread that may wait.

mod cpu;
mod disk;
mod facts;
pub(crate) mod file;
mod filesystem;
mod inventory;
mod memory;
mod network;
pub(crate) mod parse;
mod process;

pub use facts::{boot_time_us, facts};

use file::KeptFile;
use filesystem::FileSystem;
use inventory::Device;
use process::Process;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vmscope_model::{Entity, Kind, Record, Value, catalogue};

/// How long the list of devices and the space used on file systems are kept.
pub const INVENTORY_PERIOD: Duration = Duration::from_secs(30);

/// Reads the host's counters.
#[derive(Debug)]
pub struct HostSampler {
    root: PathBuf,
    buffer: Vec<u8>,
    stat: KeptFile,
    meminfo: KeptFile,
    vmstat: KeptFile,
    loadavg: KeptFile,
    uptime: KeptFile,
    diskstats: KeptFile,
    net_dev: KeptFile,
    mountinfo: KeptFile,
    process: Process,
    inventory: Option<Inventory>,
}

/// Reads a file's text into the host's row.
type Read = fn(&[u8], &mut [Value]);

#[derive(Debug)]
struct Inventory {
    taken: Instant,
    disks: Vec<Device>,
    nics: Vec<Device>,
    file_systems: Vec<FileSystem>,
}

impl HostSampler {
    /// A sampler of the host whose `proc` and `sys` are below `root`.
    pub fn new(root: &Path) -> Self {
        let file = |name: &str| KeptFile::new(root.join("proc").join(name));
        // In a container `self` shows the container; the host's first process is in the host's name spaces.
        let process = if root == Path::new("/") { "self" } else { "1" };
        Self {
            root: root.to_owned(),
            buffer: Vec::new(),
            stat: file("stat"),
            meminfo: file("meminfo"),
            vmstat: file("vmstat"),
            loadavg: file("loadavg"),
            uptime: file("uptime"),
            diskstats: file("diskstats"),
            net_dev: file(&format!("{process}/net/dev")),
            mountinfo: file(&format!("{process}/mountinfo")),
            process: Process::new(),
            inventory: None,
        }
    }

    /// Reads everything once into a record without a time: the host's row, and with `devices` a row for each core, disk,
    /// file system and network interface. `told` are columns of the host's row that are not the kernel's to say.
    pub fn sample(&mut self, devices: bool, told: &[(usize, Value)]) -> Record {
        let mut record = Record::default();
        let mut row = vec![Value::ABSENT; catalogue::metrics(Kind::Host).len()];
        for &(column, value) in told {
            row[column] = value;
        }
        self.read_simple(&mut row);
        self.process.read(&mut self.buffer, &mut row);
        self.refresh_inventory();
        if let Some(stat) = self.stat.read(&mut self.buffer) {
            cpu::read(stat, &mut row, devices.then_some(&mut record));
        }
        if let Some(inventory) = &self.inventory {
            if let Some(diskstats) = self.diskstats.read(&mut self.buffer) {
                disk::read(
                    diskstats,
                    &inventory.disks,
                    &mut row,
                    devices.then_some(&mut record),
                );
            }
            if let Some(net_dev) = self.net_dev.read(&mut self.buffer) {
                network::read(net_dev, &inventory.nics, &mut row, devices.then_some(&mut record));
            }
            filesystem::report(&inventory.file_systems, &mut row, devices.then_some(&mut record));
        }
        record.push(Entity::Host).copy_from_slice(&row);
        record
    }

    fn read_simple(&mut self, row: &mut [Value]) {
        let files: [(&mut KeptFile, Read); 4] = [
            (&mut self.meminfo, memory::read_meminfo),
            (&mut self.vmstat, memory::read_vmstat),
            (&mut self.loadavg, memory::read_loadavg),
            (&mut self.uptime, memory::read_uptime),
        ];
        for (file, read) in files {
            if let Some(text) = file.read(&mut self.buffer) {
                read(text, row);
            }
        }
    }

    fn refresh_inventory(&mut self) {
        if self
            .inventory
            .as_ref()
            .is_some_and(|inventory| inventory.taken.elapsed() < INVENTORY_PERIOD)
        {
            return;
        }
        let sys = self.root.join("sys");
        let mountinfo = self.mountinfo.read(&mut self.buffer).unwrap_or_default();
        self.inventory = Some(Inventory {
            taken: Instant::now(),
            disks: inventory::disks(&sys),
            nics: inventory::nics(&sys),
            file_systems: filesystem::list(mountinfo, &self.root),
        });
    }
}

/// Adds `part` to `total`; absent ones change nothing.
fn add(total: &mut Value, part: Value) {
    if let Some(part) = part.get() {
        *total = Value::new(total.get().unwrap_or(0).saturating_add(part));
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
