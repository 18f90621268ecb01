//! What the cheap and the dear loop know of each VM that runs, for each other: which values the kernel gives, and for which libvirt
//! has to be asked.

use crate::libvirt::Domain;
use crate::libvirt::protocol::Groups;
use crate::libvirt::rows::Sheet;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vmscope_model::VmId;

/// How often libvirt may say other processors than the kernel until it is taken at its word: one that is plugged in is known to one of
/// them first.
const MAX_MISMATCHES: u32 = 2;

/// The VMs that run. Empty until libvirt has answered the cheap loop.
#[derive(Debug, Clone, Default)]
pub(super) struct Roster(Arc<Mutex<HashMap<VmId, Entry>>>);

#[derive(Debug)]
struct Entry {
    domain: Domain,
    /// Its process is read.
    has_process: bool,
    /// Processors that have a thread of the process.
    threads: Vec<u32>,
    /// What libvirt has said of this run.
    heard: Option<Heard>,
    mismatches: u32,
}

/// What the dear groups said of a VM.
#[derive(Debug)]
struct Heard {
    processors: Vec<u32>,
    has_driver: bool,
    has_disks: bool,
}

/// What the kernel's word is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Known {
    /// Its threads are the VM's processors.
    pub(super) processors: bool,
    /// libvirt knows of other processors than its threads.
    pub(super) other_processors: bool,
    /// Resident memory is the best that is known of used memory.
    pub(super) used_memory: bool,
}

/// A VM that runs, as the cheap loop has found it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) domain: Domain,
    pub(super) has_process: bool,
    pub(super) threads: Vec<u32>,
}

impl Roster {
    /// Notes the VMs that run; returns what is known of each.
    pub(super) fn note(&self, found: Vec<Found>) -> HashMap<VmId, Known> {
        let mut entries = self.lock();
        let mut before = std::mem::take(&mut *entries);
        for one in found {
            let old = before.remove(&one.domain.vm);
            let old = old.filter(|entry| entry.domain.is_same_run(&one.domain));
            let (heard, mismatches) = old.map_or((None, 0), |entry| (entry.heard, entry.mismatches));
            let entry = Entry {
                domain: one.domain,
                has_process: one.has_process,
                threads: one.threads,
                heard,
                mismatches,
            };
            entries.insert(entry.domain.vm, entry);
        }
        entries.iter().map(|(vm, entry)| (*vm, entry.known())).collect()
    }

    /// What is to be asked of whom, each VM once; empty if nothing is known yet.
    pub(super) fn plan(&self) -> Vec<(Groups, Vec<Domain>)> {
        let mut plan: BTreeMap<Groups, Vec<Domain>> = BTreeMap::new();
        for entry in self.lock().values() {
            plan.entry(entry.groups()).or_default().push(entry.domain.clone());
        }
        plan.into_iter().collect()
    }

    /// Hears what libvirt says of a VM in all dear groups, or in those that were planned.
    pub(super) fn hear(&self, sheet: &Sheet, is_everything: bool) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&sheet.domain.vm) else {
            return;
        };
        if !sheet.heard_qemu() || !entry.domain.is_same_run(&sheet.domain) {
            return;
        }
        if is_everything || entry.heard.is_none() {
            entry.heard = Some(Heard {
                processors: sheet.processors(),
                has_driver: sheet.has_driver(),
                has_disks: sheet.heard_disks(),
            });
            entry.mismatches = if entry.known().processors {
                0
            } else {
                entry.mismatches + 1
            };
        } else if let Some(heard) = &mut entry.heard
            && entry.mismatches > 0
        {
            // Asked for in each tick while they differ.
            heard.processors = sheet.processors();
            entry.mismatches = if entry.known().processors {
                0
            } else {
                entry.mismatches + 1
            };
        }
    }

    /// Whether the times of a VM's processors are libvirt's to say.
    pub(super) fn needs_processor_times(&self, vm: VmId) -> bool {
        self.lock().get(&vm).is_none_or(Entry::needs_processor_times)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<VmId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn known(&self) -> Known {
        let Some(heard) = &self.heard else {
            return Known::default();
        };
        let is_same = !self.threads.is_empty() && heard.processors == self.threads;
        Known {
            processors: is_same,
            other_processors: !is_same,
            used_memory: self.has_process && !heard.has_driver,
        }
    }

    fn needs_processor_times(&self) -> bool {
        self.threads.is_empty() || self.mismatches >= MAX_MISMATCHES
    }

    /// Disks always; memory if the guest's driver tells something new, or if nothing else tells whether QEMU answers.
    fn groups(&self) -> Groups {
        let Some(heard) = &self.heard else {
            return Groups::DEAR;
        };
        let memory = heard.has_driver || !heard.has_disks || !self.has_process;
        let processors = self.needs_processor_times() || self.mismatches > 0;
        Groups::STATE
            .with(Groups::BLOCK)
            .with_if(memory, Groups::BALLOON)
            .with_if(processors, Groups::VCPU)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;
    use vmscope_model::Value;
    use vmscope_model::catalogue::vm;

    const VM: VmId = VmId(Uuid::from_u128(1));
    const DISKS: Groups = Groups::STATE.with(Groups::BLOCK);

    fn domain(run: i32) -> Domain {
        Domain::new("one", VM, run)
    }

    fn note(roster: &Roster, run: i32, threads: &[u32]) -> Known {
        let found = Found {
            domain: domain(run),
            has_process: true,
            threads: threads.to_vec(),
        };
        roster.note(vec![found])[&VM]
    }

    /// libvirt says these processors, and disks if it was asked for them.
    fn hear(roster: &Roster, run: i32, processors: &[u32], column: usize) {
        let mut sheet = Sheet::new(domain(run));
        sheet.set(vm::MEMORY_RSS_BYTES, Value::new(7));
        sheet.set(column, Value::new(7));
        for number in processors {
            sheet.add_processor(*number, &[]);
        }
        roster.hear(&sheet, true);
    }

    fn planned(roster: &Roster) -> Vec<Groups> {
        roster.plan().into_iter().map(|(groups, _)| groups).collect()
    }

    #[test]
    fn a_new_run_is_asked_for_everything() {
        let roster = Roster::default();
        assert!(roster.plan().is_empty());
        note(&roster, 1, &[0]);
        assert_eq!(planned(&roster), [Groups::DEAR]);
        hear(&roster, 1, &[0], vm::MEMORY_CURRENT_BYTES);
        assert_ne!(planned(&roster), [Groups::DEAR]);
        let known = note(&roster, 2, &[0]);
        assert_eq!((planned(&roster), known), (vec![Groups::DEAR], Known::default()));
        hear(&roster, 1, &[0], vm::MEMORY_CURRENT_BYTES);
        assert_eq!(planned(&roster), [Groups::DEAR], "that was the run before");
    }

    #[test]
    fn memory_is_asked_for_where_a_driver_speaks_or_nothing_else_shows_a_hang() {
        for column in [vm::MEMORY_USABLE_BYTES, vm::MEMORY_CURRENT_BYTES] {
            let roster = Roster::default();
            note(&roster, 1, &[0]);
            hear(&roster, 1, &[0], column);
            assert_eq!(planned(&roster), [DISKS.with(Groups::BALLOON)]);
            let has_driver = column == vm::MEMORY_USABLE_BYTES;
            assert_eq!(note(&roster, 1, &[0]).used_memory, !has_driver);
        }
    }

    #[test]
    fn threads_are_processors_while_libvirt_knows_the_same() {
        let roster = Roster::default();
        note(&roster, 1, &[0, 1]);
        assert!(!roster.needs_processor_times(VM));
        hear(&roster, 1, &[0, 1], vm::MEMORY_CURRENT_BYTES);
        assert!(note(&roster, 1, &[0, 1]).processors);
        // One is plugged in: libvirt knows it first, then both do.
        hear(&roster, 1, &[0, 1, 2], vm::MEMORY_CURRENT_BYTES);
        let known = note(&roster, 1, &[0, 1]);
        assert!(known.other_processors && !known.processors && !roster.needs_processor_times(VM));
        assert!(note(&roster, 1, &[0, 1, 2]).processors);
    }

    #[test]
    fn libvirt_is_taken_at_its_word_when_threads_stay_others() {
        let roster = Roster::default();
        for _ in 0..MAX_MISMATCHES {
            note(&roster, 1, &[7]);
            assert!(!roster.needs_processor_times(VM));
            hear(&roster, 1, &[0], vm::MEMORY_CURRENT_BYTES);
        }
        assert!(roster.needs_processor_times(VM));
        assert!(planned(&roster)[0].has(Groups::VCPU));
    }

    #[test]
    fn a_vm_that_nobody_knows_is_libvirts() {
        assert!(Roster::default().needs_processor_times(VM));
    }
}
