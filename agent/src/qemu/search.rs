//! The search for the QEMU of a VM: by the UUID on the command lines of all processes.
//!
//! Reading command lines may block for as long as a process holds its memory's lock, so it is done on a thread that may wait, and
//! ticks go on without it. What is not found is looked for again after a while, ever more rarely: a process may be
//! hidden from us for good.

use super::SEARCH_WAIT;
use super::parse;
use super::process::Process;
use crate::libvirt::Domain;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use vmscope_model::VmId;

/// The longest command line that is looked at, in bytes.
const MAX_COMMAND_BYTES: u64 = 1024 * 1024;
/// How long after a search in vain the next one is; each doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The most doublings: a search about every minute.
const MAX_DOUBLINGS: u32 = 6;
/// A VM whose process was looked for in vain so often is told in the log.
const TOLD_AFTER: u32 = 4;

#[derive(Debug)]
pub(super) struct Search {
    root: PathBuf,
    running: Option<JoinHandle<HashMap<VmId, Process>>>,
    /// VMs that were not found.
    vain: HashMap<VmId, Vain>,
    is_told: bool,
}

#[derive(Debug)]
struct Vain {
    domain: Domain,
    tries: u32,
    next: Instant,
}

impl Search {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            running: None,
            vain: HashMap::new(),
            is_told: false,
        }
    }

    /// Searches if one of the `missing` is due; returns what is found in time.
    pub(super) async fn run(&mut self, missing: &[&Domain], now: Instant) -> Vec<(Domain, Process)> {
        if !self.vain.is_empty() {
            let runs: HashMap<VmId, &Domain> = missing.iter().map(|domain| (domain.vm, *domain)).collect();
            self.vain
                .retain(|vm, vain| runs.get(vm).is_some_and(|run| run.is_same_run(&vain.domain)));
        }
        let is_due = |domain: &&Domain| self.vain.get(&domain.vm).is_none_or(|vain| vain.next <= now);
        if self.running.is_none() {
            if !missing.iter().any(is_due) {
                self.tell();
                return Vec::new();
            }
            let wanted = missing.iter().map(|domain| domain.vm).collect();
            let root = self.root.clone();
            self.running = Some(tokio::task::spawn_blocking(move || search(&root, &wanted)));
        }
        let found = match &mut self.running {
            Some(running) => tokio::time::timeout(SEARCH_WAIT, running).await.ok(),
            None => None,
        };
        let Some(found) = found else {
            return Vec::new();
        };
        self.running = None;
        self.sort(missing, found.unwrap_or_default(), now)
    }

    /// Notes which of the `missing` were not found; returns those that were.
    fn sort(
        &mut self,
        missing: &[&Domain],
        mut found: HashMap<VmId, Process>,
        now: Instant,
    ) -> Vec<(Domain, Process)> {
        let mut all = Vec::new();
        for domain in missing {
            if let Some(process) = found.remove(&domain.vm) {
                self.vain.remove(&domain.vm);
                all.push(((*domain).clone(), process));
                continue;
            }
            let vain = self.vain.entry(domain.vm).or_insert_with(|| Vain {
                domain: (*domain).clone(),
                tries: 0,
                next: now,
            });
            vain.next = now + FIRST_PAUSE * 2_u32.pow(vain.tries.min(MAX_DOUBLINGS));
            vain.tries += 1;
        }
        self.tell();
        all
    }

    fn tell(&mut self) {
        let hidden = self.vain.values().filter(|vain| vain.tries >= TOLD_AFTER).count();
        if hidden > 0 && !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(
                sampler.vms = hidden,
                "qemu processes of vms can't be found or read, libvirt is asked instead, which costs more"
            );
        } else if self.vain.is_empty() && std::mem::take(&mut self.is_told) {
            tracing::info!("qemu processes of all vms are found");
        }
    }
}

/// The processes of the `wanted` VMs. One that two processes claim has none: nobody can tell which it is.
fn search(root: &Path, wanted: &HashSet<VmId>) -> HashMap<VmId, Process> {
    let mut found: HashMap<VmId, Option<Process>> = HashMap::new();
    let Ok(entries) = fs::read_dir(root.join("proc")) else {
        return HashMap::new();
    };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Some(vm) = vm_of(&entry.path()).filter(|vm| wanted.contains(vm)) else {
            continue;
        };
        let Some(process) = Process::open(root, pid).ok().filter(Process::has_processors) else {
            continue;
        };
        found
            .entry(vm)
            .and_modify(|process| *process = None)
            .or_insert(Some(process));
    }
    found
        .into_iter()
        .filter_map(|(vm, process)| Some((vm, process?)))
        .collect()
}

/// The VM that a process's command line names.
fn vm_of(folder: &Path) -> Option<VmId> {
    let mut cmdline = Vec::new();
    let file = File::open(folder.join("cmdline")).ok()?;
    file.take(MAX_COMMAND_BYTES).read_to_end(&mut cmdline).ok()?;
    parse::uuid(&cmdline).map(VmId)
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
