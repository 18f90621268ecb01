//! The loop of what libvirt knows by itself: state, CPU and network of VMs.

use super::clock::now_us;
use super::line::{Error, Health, Line};
use super::outlet::{Closed, Outlet};
use super::schedule::{Due, Schedule, interval_us};
use super::{Config, REPEAT_FACTS};
use crate::libvirt::protocol::Groups;
use crate::libvirt::{self, Versions, rows};
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Instant;
use tokio::sync::watch;
use vmscope_model::{Fact, Group, Record, VmFacts, VmId};

/// Asks for the cheap groups, and says which VMs there are and what they are called.
pub(super) struct CheapLoop {
    config: Config,
    outlet: Outlet,
    hypervisor: watch::Sender<String>,
    line: Line,
    health: Health,
    names: HashMap<VmId, String>,
    names_told: Instant,
    device_slot: i64,
}

impl CheapLoop {
    pub(super) fn new(config: Config, outlet: Outlet, hypervisor: watch::Sender<String>) -> Self {
        Self {
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
        let answer = client.statistics(Groups::CHEAP).await?;
        let mut record = Record::default();
        record.tick.time_us = now_us();
        let seen = rows::cheap(answer, devices, &mut record)?;
        record.tick.facts = tell_names(&mut self.names, &mut self.names_told, &seen);
        Ok(record)
    }
}

/// The names that are new, changed, or due to be told again.
fn tell_names(names: &mut HashMap<VmId, String>, told: &mut Instant, seen: &[rows::Seen<'_>]) -> Vec<Fact> {
    if told.elapsed() >= REPEAT_FACTS || names.len() > 2 * seen.len() {
        *told = Instant::now();
        names.clear();
    }
    let mut facts = Vec::new();
    for &rows::Seen { vm, name, .. } in seen {
        if names.get(&vm).is_none_or(|known| known != name) {
            names.insert(vm, name.to_owned());
            facts.push(Fact::Vm(VmFacts {
                vm,
                name: name.to_owned(),
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
        let vm = VmId(Uuid::from_u128(1));
        let mut tell = |name| {
            tell_names(
                &mut names,
                &mut told,
                &[rows::Seen {
                    vm,
                    name,
                    busy: false,
                }],
            )
            .len()
        };
        assert_eq!([tell("a"), tell("a"), tell("b"), tell("b")], [1, 0, 1, 0]);
    }
}
