//! The loop of what no QEMU must be asked for: state, CPU, processors and network of VMs.
//!
//! libvirt says which VMs there are and in which state; what they use is read from the kernel ([`crate::qemu`]), as libvirt would. Where
//! that can't be, libvirt is asked for it in the same tick. With the rows of devices libvirt names the interfaces.

use super::clock::now_us;
use super::line::{Error, Health, Line};
use super::outlet::{Closed, Outlet};
use super::roster::{Found, Known, Roster};
use super::schedule::{Due, Schedule, interval_us};
use super::{Config, REPEAT_FACTS};
use crate::libvirt::protocol::Groups;
use crate::libvirt::rows::{self, Sheet};
use crate::libvirt::{self, Domain, Versions};
use crate::qemu::{Processes, Reading, Taps};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::time::Instant;
use tokio::sync::watch;
use vmscope_model::catalogue::{vcpu, vm};
use vmscope_model::{Fact, Group, Record, Value, VmFacts, VmId};

/// Asks for the cheap groups, and says which VMs there are and what they are called.
pub(super) struct CheapLoop {
    config: Config,
    outlet: Outlet,
    hypervisor: watch::Sender<String>,
    roster: Roster,
    processes: Processes,
    taps: Taps,
    line: Line,
    health: Health,
    names: HashMap<VmId, String>,
    names_told: Instant,
    device_slot: i64,
}

impl CheapLoop {
    pub(super) fn new(
        config: Config,
        outlet: Outlet,
        hypervisor: watch::Sender<String>,
        roster: Roster,
    ) -> Self {
        Self {
            roster,
            processes: Processes::new(&config.host_root),
            taps: Taps::new(&config.host_root),
            line: Line::new(config.clone()),
            config,
            outlet,
            hypervisor,
            health: Health::new(Group::Cheap),
            names: HashMap::new(),
            names_told: Instant::now(),
            device_slot: 0,
        }
    }

    pub(super) async fn run(mut self) -> Result<Infallible, Closed> {
        let mut schedule = Schedule::new(Group::Cheap, self.config.cheap_interval_ms);
        loop {
            let due = schedule.next().await;
            let mut record = self.tick(&due).await;
            record.tick.gaps.extend(due.missed);
            self.outlet.send(record).await?;
        }
    }

    async fn tick(&mut self, due: &Due) -> Record {
        let slot = due.at_us / interval_us(self.config.dear_interval_ms);
        let devices = slot != self.device_slot;
        let error = match tokio::time::timeout(self.config.cheap_deadline(), self.ask(devices)).await {
            Ok(Ok(record)) => {
                self.device_slot = slot;
                self.health.up();
                return record;
            }
            Ok(Err(error)) => error.into(),
            Err(elapsed) => Error::from(elapsed),
        };
        drop(self.line.take());
        let mut record = Record::default();
        let cause = self.health.down(&error);
        record
            .tick
            .gaps
            .extend(cause.map(|cause| due.gap(Group::Cheap, cause)));
        record
    }

    async fn ask(&mut self, devices: bool) -> Result<Record, libvirt::Error> {
        let (client, is_new) = self.line.client().await?;
        if is_new {
            let versions = client.versions().await?;
            self.hypervisor.send_replace(describe(versions));
        }
        let groups = Groups::STATE.with_if(devices, Groups::INTERFACE);
        let mut sheets = rows::read(client.statistics(&[], groups).await?)?;
        let active: Vec<&Domain> = active(&sheets).map(|sheet| &sheet.domain).collect();
        self.processes.find(&active).await;
        let mut record = Record::default();
        record.tick.time_us = now_us();
        self.taps.read();
        let readings = self.read_processes(&active, devices);
        if devices {
            self.learn(&sheets);
        }
        let calls = self.plan(&sheets, &readings, devices);
        let client = self.line.client().await?.0;
        for (groups, domains) in &calls {
            let more = rows::read(client.statistics(domains, *groups).await?)?;
            rows::merge(&mut sheets, more);
        }
        self.learn_late(&sheets, &calls);
        let known = self.roster.note(found(&sheets, &readings));
        self.look_at_threads(&known);
        record.tick.facts = tell_names(&mut self.names, &mut self.names_told, &sheets);
        for mut sheet in sheets {
            self.complete(&mut sheet, &readings, &known);
            sheet.add_to(&mut record, devices);
        }
        Ok(record)
    }

    fn read_processes(&mut self, active: &[&Domain], devices: bool) -> HashMap<VmId, Reading> {
        if devices {
            self.processes.look_at_kernel();
        }
        let mut read = |domain: &&Domain| Some((domain.vm, self.processes.read(domain.vm, devices)?));
        active.iter().filter_map(&mut read).collect()
    }

    /// What libvirt must be asked for because nobody else says it, and of whom.
    fn plan(
        &self,
        sheets: &[Sheet],
        readings: &HashMap<VmId, Reading>,
        devices: bool,
    ) -> BTreeMap<Groups, Vec<Domain>> {
        let mut calls: BTreeMap<Groups, Vec<Domain>> = BTreeMap::new();
        for Sheet { domain, .. } in active(sheets) {
            let needs_nics = !devices && self.taps.totals(domain.vm).is_none();
            let groups = Groups::STATE
                .with_if(!readings.contains_key(&domain.vm), Groups::CPU)
                .with_if(needs_nics, Groups::INTERFACE);
            if groups != Groups::STATE {
                calls.entry(groups).or_default().push(domain.clone());
            }
        }
        calls
    }

    /// libvirt has just said what the interfaces of these VMs have counted.
    fn learn(&mut self, sheets: &[Sheet]) {
        let there: HashSet<VmId> = active(sheets).map(|sheet| sheet.domain.vm).collect();
        self.taps.retain(|vm| there.contains(&vm));
        for sheet in active(sheets) {
            self.taps.learn(sheet.domain.vm, sheet.nics());
        }
    }

    /// As [`Self::learn`], for VMs whose interfaces were asked for in a second call.
    fn learn_late(&mut self, sheets: &[Sheet], calls: &BTreeMap<Groups, Vec<Domain>>) {
        let asked = calls.iter().filter(|(groups, _)| groups.has(Groups::INTERFACE));
        let asked: HashSet<VmId> = asked
            .flat_map(|(_, domains)| domains)
            .map(|domain| domain.vm)
            .collect();
        if asked.is_empty() {
            return;
        }
        self.taps.read();
        for sheet in sheets.iter().filter(|sheet| asked.contains(&sheet.domain.vm)) {
            self.taps.learn(sheet.domain.vm, sheet.nics());
        }
    }

    fn look_at_threads(&mut self, known: &HashMap<VmId, Known>) {
        for (vm, _) in known.iter().filter(|(_, known)| known.other_processors) {
            self.processes.look_at_threads(*vm);
        }
    }

    /// Puts what the kernel says beside what libvirt says.
    fn complete(&self, sheet: &mut Sheet, readings: &HashMap<VmId, Reading>, known: &HashMap<VmId, Known>) {
        let vm = sheet.domain.vm;
        if let Some(reading) = readings.get(&vm) {
            fill(sheet, reading, known.get(&vm).copied().unwrap_or_default());
        }
        if sheet.nics().next().is_none()
            && let Some(totals) = self.taps.totals(vm).filter(|_| sheet.is_active())
        {
            for (column, total) in totals {
                sheet.set(column, total);
            }
        }
        sheet.fill_totals();
    }
}

fn active(sheets: &[Sheet]) -> impl Iterator<Item = &Sheet> {
    sheets.iter().filter(|sheet| sheet.is_active())
}

fn found(sheets: &[Sheet], readings: &HashMap<VmId, Reading>) -> Vec<Found> {
    let found = |sheet: &Sheet| {
        let reading = readings.get(&sheet.domain.vm);
        let threads = reading.map(|reading| reading.processors.iter().map(|one| one.number).collect());
        Found {
            domain: sheet.domain.clone(),
            has_process: reading.is_some(),
            threads: threads.unwrap_or_default(),
        }
    };
    active(sheets).map(found).collect()
}

/// Writes a process's reading into its VM's columns.
fn fill(sheet: &mut Sheet, reading: &Reading, known: Known) {
    for (column, value) in [
        (vm::CPU_TIME_NS, reading.time_ns),
        (vm::CPU_USER_NS, reading.user_ns),
        (vm::CPU_SYSTEM_NS, reading.system_ns),
        (vm::MEMORY_RSS_BYTES, reading.rss_bytes),
        (vm::PROCESS_GUEST_NS, reading.guest_ns),
        (vm::PROCESS_MAJOR_FAULTS, reading.major_faults),
        (vm::PROCESS_MINOR_FAULTS, reading.minor_faults),
        (vm::PROCESS_THREADS, reading.threads),
    ] {
        sheet.set(column, Value::new(value));
    }
    if known.used_memory {
        sheet.fill_used_memory();
    }
    if !known.processors {
        return;
    }
    for one in &reading.processors {
        let values = [
            (vcpu::TIME_NS, Value::new(one.time_ns)),
            (vcpu::DELAY_NS, Value::new(one.delay_ns)),
            (vcpu::WAIT_NS, one.wait_ns.into()),
        ];
        sheet.add_processor(one.number, &values);
    }
}

/// The names that are new, changed, or due to be told again.
fn tell_names(names: &mut HashMap<VmId, String>, told: &mut Instant, sheets: &[Sheet]) -> Vec<Fact> {
    if told.elapsed() >= REPEAT_FACTS || names.len() > 2 * sheets.len() {
        *told = Instant::now();
        names.clear();
    }
    let mut facts = Vec::new();
    for Sheet { domain, .. } in sheets {
        let (vm, name) = (domain.vm, &domain.name);
        if names.get(&vm) != Some(name) {
            names.insert(vm, name.clone());
            facts.push(Fact::Vm(VmFacts {
                vm,
                name: name.clone(),
            }));
        }
    }
    facts
}

/// `QEMU 7.2.17, libvirt 9.0.0`.
fn describe(versions: Versions) -> String {
    let dotted = |version: u64| {
        format!(
            "{}.{}.{}",
            version / 1_000_000,
            version / 1_000 % 1_000,
            version % 1_000
        )
    };
    format!(
        "QEMU {}, libvirt {}",
        dotted(versions.hypervisor),
        dotted(versions.library)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn versions_are_written_with_dots() {
        let versions = Versions {
            hypervisor: 7_002_017,
            library: 9_000_000,
        };
        assert_eq!(describe(versions), "QEMU 7.2.17, libvirt 9.0.0");
    }

    #[test]
    fn a_name_is_told_when_it_is_new_or_changed() {
        let (mut names, mut told) = (HashMap::new(), Instant::now());
        let mut tell = |name| {
            let sheet = Sheet::new(Domain::new(name, VmId(Uuid::from_u128(1)), 1));
            tell_names(&mut names, &mut told, &[sheet]).len()
        };
        assert_eq!([tell("a"), tell("a"), tell("b"), tell("b")], [1, 0, 1, 0]);
    }
}
