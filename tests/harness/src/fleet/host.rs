//! A host of the fleet at work: it sends what a real agent would, the facts included, and enters each tick into the account.

use super::account::Account;
use super::life::{HOST_COLUMNS, Meter, VM_COLUMNS, is_dear};
use super::plan::{Leg, Plan, SECOND_US};
use crate::simulated::{DEAR_EVERY, FRAME_TICKS, Line, Log};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vmscope_link::Identity;
use vmscope_model::{Cause, Entity, Fact, HostFacts, Position, Record, RunFacts, Value, VmFacts};

/// Between a moment and the tick of it that is sent.
const DELAY_US: i64 = 20_000;
/// How much later dear values are there.
const DEAR_LATER_US: i64 = 5_000;
/// How far a tick may be from its moment.
const JITTER_US: i64 = 2_000;
/// Prime to it, so that the next one is elsewhere.
const JITTER_STEP_US: i64 = 617;
/// Ticks that are later than this go with others into one frame.
const LATE: Duration = Duration::from_secs(2);

/// What all hosts share.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) plan: Arc<Plan>,
    pub(super) account: Account,
    pub(super) collector: SocketAddr,
    pub(super) log: Arc<Log>,
    /// When the run begins.
    pub(super) begun: Instant,
    /// Sessions that may open at the same time.
    pub(super) opening: Semaphore,
    pub(super) stop: CancellationToken,
}

/// A host.
#[derive(Debug)]
pub(super) struct Player {
    stage: Arc<Stage>,
    number: usize,
    identity: Identity,
    position: Position,
    /// The names that were told in this run of the agent.
    told: HashMap<usize, String>,
}

impl Player {
    pub(super) fn new(stage: Arc<Stage>, number: usize, identity: Identity) -> Self {
        Self {
            stage,
            number,
            identity,
            position: Position {
                epoch: 0,
                sequence: 0,
            },
            told: HashMap::new(),
        }
    }

    /// Plays until the stop; returns when everything is acknowledged.
    pub(super) async fn play(mut self) -> anyhow::Result<()> {
        let stage = Arc::clone(&self.stage);
        let host = &stage.plan.hosts[self.number];
        for leg in &host.legs {
            if self.position.epoch != leg.epoch {
                (self.position.epoch, self.position.sequence) = (leg.epoch, 0);
                self.told.clear();
            }
            let open = stage.begun + Duration::from_secs(leg.open_s.max(0).cast_unsigned());
            tokio::select! {
                () = tokio::time::sleep_until(open) => {}
                () = stage.stop.cancelled() => return Ok(()),
            }
            let (line, acknowledgements) = {
                let _place = stage.opening.acquire().await?;
                Line::open(&self.identity, host.id, stage.collector, &stage.log).await?
            };
            acknowledgements.beside(self.send(line, *leg)).await?;
        }
        Ok(())
    }

    /// Sends a leg, late ticks in frames of many.
    async fn send(&mut self, mut line: Line, leg: Leg) -> anyhow::Result<()> {
        let stage = Arc::clone(&self.stage);
        let phase_us = stage.plan.hosts[self.number].phase_us;
        let mut late = Vec::new();
        for second in leg.from_s.. {
            if leg.to_s.is_some_and(|to_s| second >= to_s) || stage.stop.is_cancelled() {
                break;
            }
            let at_us = second * SECOND_US + phase_us;
            let due = u64::try_from(at_us)
                .ok()
                .map(|at_us| stage.begun + Duration::from_micros(at_us))
                .filter(|due| due.elapsed() < LATE);
            let Some(due) = due else {
                late.extend(self.second(second, at_us));
                // A second has up to two ticks.
                if late.len() + 2 > FRAME_TICKS {
                    line.send(&late, Instant::now()).await?;
                    late.clear();
                }
                continue;
            };
            line.send(&late, Instant::now()).await?;
            late.clear();
            line.wake(due).await;
            for tick in self.second(second, at_us) {
                line.send(&[tick], due).await?;
            }
        }
        line.send(&late, Instant::now()).await?;
        line.finish().await
    }

    /// The ticks of a second: the dear one is behind the cheap one.
    fn second(&mut self, second: i64, at_us: i64) -> Vec<(Position, Record)> {
        let jitter_us = second.wrapping_mul(JITTER_STEP_US).rem_euclid(JITTER_US);
        let at_us = at_us - DELAY_US + jitter_us;
        let mut ticks = vec![self.tick(at_us, false)];
        if second.rem_euclid(DEAR_EVERY.cast_signed()) == 0 {
            ticks.push(self.tick(at_us + DEAR_LATER_US, true));
        }
        ticks
    }

    fn tick(&mut self, at_us: i64, dear: bool) -> (Position, Record) {
        let stage = Arc::clone(&self.stage);
        let plan = &stage.plan;
        let mut record = Record::default();
        record.tick.time_us = plan.begun_us + at_us;
        let host = &plan.hosts[self.number];
        if !dear {
            let meter = Meter::of_host(plan.scale.seed, self.number);
            let row = record.push(Entity::Host);
            for column in HOST_COLUMNS {
                row[column] = Value::new(meter.host(column, host.size, at_us));
            }
            if self.position.sequence == 0 {
                record.tick.facts = self.first_facts();
            }
        }
        for &number in &host.visitors {
            self.add_vm(&mut record, number, at_us, dear);
        }
        self.position.sequence += 1;
        stage
            .account
            .enter(self.number, self.position.epoch, dear, record.tick.time_us);
        (self.position, record)
    }

    /// A virtual machine, if it is here; its name when it is not known yet.
    fn add_vm(&mut self, record: &mut Record, number: usize, at_us: i64, dear: bool) {
        let plan = &self.stage.plan;
        let vm = &plan.vms[number];
        let segment = vm.at(at_us);
        if segment.host != self.number {
            return;
        }
        let meter = Meter::of_vm(plan.scale.seed, number);
        let row = record.push(Entity::Vm(vm.id));
        for column in VM_COLUMNS.into_iter().filter(|column| is_dear(*column) == dear) {
            row[column] = meter.vm(column, segment, vm.size, at_us).into();
        }
        let name = vm.name_at(at_us);
        if self.told.get(&number).is_none_or(|told| told != name) {
            self.told.insert(number, name.to_owned());
            record.tick.facts.push(Fact::Vm(VmFacts {
                vm: vm.id,
                name: name.to_owned(),
            }));
        }
    }

    /// What the first tick of a run tells of the host.
    fn first_facts(&self) -> Vec<Fact> {
        let host = &self.stage.plan.hosts[self.number];
        let run = RunFacts {
            epoch: self.position.epoch,
            before: Cause::AgentStopped,
        };
        let facts = HostFacts {
            name: host.name.clone(),
            os: "Debian GNU/Linux 13".to_owned(),
            hypervisor: "QEMU 10.0.0, libvirt 11.0.0".to_owned(),
            cpu_count: u32::try_from(host.size.vcpus).unwrap_or_default(),
            memory_bytes: host.size.memory_bytes.unsigned_abs(),
            ..HostFacts::default()
        };
        vec![Fact::Run(run), Fact::Host(facts)]
    }
}
