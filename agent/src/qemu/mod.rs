//! What the host's kernel knows of VMs: the processes of their QEMUs and their network interfaces.
//!
//! libvirt reads the same files for its groups `cpu-total`, `vcpu` and `interface`, at many times the price. [`Processes`] finds the
//! QEMU of each VM by the UUID on its command line and reads its CPU time, resident memory and the scheduler's words about its
//! virtual processors; [`Taps`] reads the counters of the interfaces that libvirt has named. Units, bases and meanings are those of
//! libvirt, so that it can step in for a VM whose process can't be found or read (another PID namespace, `hidepid`).
//!
//! A kept descriptor below `/proc/PID` belongs to that process for ever: when it has ended, reading fails, though its number
//! may have been given to another. So a restarted VM never goes on with the numbers of another process.

mod cgroup;
mod parse;
mod process;
mod search;
mod taps;

pub use process::{Processor, Reading};
pub use taps::Taps;

use crate::libvirt::Domain;
use process::Process;
use search::Search;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vmscope_model::VmId;

/// How long a VM's first tick waits for the search of its process.
const SEARCH_WAIT: Duration = Duration::from_millis(250);

/// The processes of the VMs that run.
#[derive(Debug)]
pub struct Processes {
    root: PathBuf,
    watched: HashMap<VmId, Watched>,
    search: Search,
    buffer: Vec<u8>,
    /// The kernel counts what threads run and are delayed: otherwise it writes zeros.
    counts_threads: bool,
    /// The kernel counts what threads wait for I/O (`sched_schedstats`).
    counts_waits: bool,
}

#[derive(Debug)]
struct Watched {
    domain: Domain,
    process: Process,
}

impl Processes {
    /// Of the host whose `proc` and `sys` are below `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            watched: HashMap::new(),
            search: Search::new(root),
            buffer: vec![0; parse::SHORT_FILE_BYTES],
            // This process has run for a while.
            counts_threads: std::fs::read("/proc/self/schedstat")
                .is_ok_and(|text| parse::schedstat(&text).is_some_and(|(run_ns, _)| run_ns > 0)),
            counts_waits: false,
        }
    }

    /// Looks for the processes of those `active` domains that have none, if it is time to.
    pub async fn find(&mut self, active: &[&Domain]) {
        let runs: HashMap<VmId, &Domain> = active.iter().map(|domain| (domain.vm, *domain)).collect();
        self.watched
            .retain(|vm, watched| runs.get(vm).is_some_and(|run| run.is_same_run(&watched.domain)));
        let missing: Vec<&Domain> = active
            .iter()
            .copied()
            .filter(|domain| !self.watched.contains_key(&domain.vm))
            .collect();
        for (domain, process) in self.search.run(&missing, Instant::now()).await {
            self.watched.insert(domain.vm, Watched { domain, process });
        }
    }

    /// Finds out what holds for all processes in this tick, before they are read with waits.
    pub fn look_at_kernel(&mut self) {
        let setting = self.root.join("proc/sys/kernel/sched_schedstats");
        self.counts_waits = std::fs::read(setting).is_ok_and(|text| text.trim_ascii() == b"1");
    }

    /// What the VM's process says now, with `waits` also what its processors waited; `None` if it has none that can be read.
    pub fn read(&mut self, vm: VmId, waits: bool) -> Option<Reading> {
        let waits = waits.then_some(self.counts_waits);
        let process = &mut self.watched.get_mut(&vm)?.process;
        match process.read(&mut self.buffer, waits) {
            Ok(mut reading) => {
                if !self.counts_threads {
                    reading.processors.clear();
                }
                Some(reading)
            }
            Err(error) => {
                tracing::debug!(vm.id = %vm, %error, "vm's process can't be read any more");
                self.watched.remove(&vm);
                None
            }
        }
    }

    /// Looks anew which threads are the VM's processors: libvirt knows of others.
    pub fn look_at_threads(&mut self, vm: VmId) {
        if let Some(watched) = self.watched.get_mut(&vm) {
            watched.process.list_processors();
        }
    }
}
