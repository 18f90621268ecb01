//! The loop of the host's own metrics.

use super::clock::now_us;
use super::outlet::{Closed, Outlet};
use super::own::Own;
use super::schedule::{Due, Schedule, interval_us};
use super::{Config, REPEAT_FACTS};
use crate::host::{HostSampler, facts};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use vmscope_model::{Cause, Fact, Group, HostFacts, Record};

/// What comes back from the thread that reads, with the sampler for next time.
type Reading = (HostSampler, Record, Option<HostFacts>);

/// Reads the host at each moment. Reading happens on a thread that may block: a dead disk under one file system must not hold up the
/// VMs' loops. While a reading hangs, its ticks are gaps, and no second one is
/// started.
pub(super) struct HostLoop {
    config: Config,
    outlet: Outlet,
    hypervisor: watch::Receiver<String>,
    own: Own,
    sampler: Option<HostSampler>,
    reading: Option<JoinHandle<Reading>>,
    facts: HostFacts,
    facts_taken: Option<Instant>,
    device_slot: i64,
}

impl HostLoop {
    pub(super) fn new(config: Config, outlet: Outlet, hypervisor: watch::Receiver<String>, own: Own) -> Self {
        Self {
            config,
            outlet,
            hypervisor,
            own,
            sampler: None,
            reading: None,
            facts: HostFacts::default(),
            facts_taken: None,
            device_slot: 0,
        }
    }

    pub(super) async fn run(mut self) -> Result<Infallible, Closed> {
        let mut schedule = Schedule::new(Group::Host, self.config.host_interval_ms);
        loop {
            let due = schedule.next().await;
            let mut record = self.tick(&due).await;
            record.tick.gaps.extend(due.missed);
            self.outlet.send(record).await?;
        }
    }

    async fn tick(&mut self, due: &Due) -> Record {
        if let Some(late) = self.reading.take_if(|reading| reading.is_finished()) {
            // Its numbers are of another moment; the sampler is what we want back.
            self.finish(late.await);
        }
        if self.reading.is_none() {
            self.reading = Some(self.start(due));
        }
        let deadline = Duration::from_millis(self.config.host_interval_ms * 4 / 5);
        let done = match &mut self.reading {
            Some(reading) => tokio::time::timeout(deadline, reading).await.ok(),
            None => None,
        };
        let record = done.and_then(|done| {
            self.reading = None;
            self.finish(done)
        });
        record.unwrap_or_else(|| {
            let mut record = Record::default();
            record.tick.gaps.push(due.gap(Group::Host, Cause::Deadline));
            record
        })
    }

    fn start(&mut self, due: &Due) -> JoinHandle<Reading> {
        let mut sampler = self
            .sampler
            .take()
            .unwrap_or_else(|| HostSampler::new(&self.config.host_root));
        let slot = due.at_us / interval_us(self.config.dear_interval_ms);
        let devices = std::mem::replace(&mut self.device_slot, slot) != slot;
        let wants_facts = self
            .facts_taken
            .is_none_or(|taken| taken.elapsed() >= REPEAT_FACTS);
        let own = self.own.values(now_us());
        tokio::task::spawn_blocking(move || {
            let read_us = now_us();
            let mut record = sampler.sample(devices, &own);
            record.tick.time_us = read_us;
            (sampler, record, wants_facts.then(facts))
        })
    }

    /// Takes the sampler back; returns the record, with the facts when they are new.
    fn finish(&mut self, done: Result<Reading, JoinError>) -> Option<Record> {
        let (sampler, mut record, facts) = match done {
            Ok(reading) => reading,
            Err(error) => {
                tracing::error!(%error, "reading the host ended abnormally, starting anew");
                return None;
            }
        };
        self.sampler = Some(sampler);
        let is_repeated = facts.is_some();
        if let Some(facts) = facts {
            self.facts_taken = Some(Instant::now());
            self.facts = HostFacts {
                hypervisor: std::mem::take(&mut self.facts.hypervisor),
                ..facts
            };
        }
        let hypervisor = self.hypervisor.borrow_and_update();
        if is_repeated || *hypervisor != self.facts.hypervisor {
            self.facts.hypervisor.clone_from(&hypervisor);
            record.tick.facts.push(Fact::Host(self.facts.clone()));
        }
        Some(record)
    }
}
