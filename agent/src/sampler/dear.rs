//! The loop of what QEMU must be asked for: memory and disks of VMs.
//!
//! Disks are asked for in each tick; memory where the guest's balloon driver has something new to say, and processors where the kernel does
//! not give them ([`Roster`]). Everything is asked for of a VM that is new, and once a minute of all, those that are off too.
//!
//! A QEMU that does not answer (stopped, or its storage hangs) holds up the whole call. libvirt then keeps that VM's job
//! taken, so the same call on a new connection passes the VM over: this loop asks a second time at once and parks the
//! first connection. Each hanging VM can hold one connection and one of libvirt's workers, therefore there are at most
//! [`MAX_PARKED`], and while they are all taken nothing further is risked. A VM that was passed over twice is a gap of that VM.

use super::Config;
use super::budget::Budget;
use super::clock::now_us;
use super::line::{Error, Health, Line};
use super::outlet::{Closed, Outlet};
use super::roster::Roster;
use super::schedule::{Due, Schedule};
use crate::libvirt::protocol::Groups;
use crate::libvirt::rows::{self, Sheet};
use crate::libvirt::{self, Client};
use std::collections::HashSet;
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use vmscope_model::catalogue::vm;
use vmscope_model::{Cause, Gap, Group, Record, Value, VmId};

/// Connections that may wait for an answer that nobody wants any more.
const MAX_PARKED: usize = 3;
/// How long one is kept. Afterwards its VM's job is still taken and does no further harm.
const PARKED_FOR: Duration = Duration::from_mins(1);
/// How often everything is asked for, of all VMs.
const EVERYTHING_US: i64 = 60_000_000;
/// How long to wait before asking once more about VMs that are newly busy. Random, or two who ask libvirt would meet again.
const BUSY_PAUSE: std::ops::Range<Duration> = Duration::from_millis(50)..Duration::from_millis(200);

/// Asks for the dear groups.
pub(super) struct DearLoop {
    config: Config,
    outlet: Outlet,
    roster: Roster,
    line: Line,
    health: Health,
    /// The minute in which everything was last asked for.
    minute: i64,
    parked: Vec<Parked>,
    busy: HashSet<VmId>,
    budget: Budget,
    /// What this tick has taken so far.
    spent: Duration,
}

struct Answer {
    record: Record,
    /// VMs that were passed over.
    busy: HashSet<VmId>,
}

struct Parked {
    client: Client,
    since: Instant,
}

impl DearLoop {
    pub(super) fn new(config: Config, outlet: Outlet, roster: Roster, stretch: watch::Sender<u32>) -> Self {
        let budget = Budget::new(config.budget_percent, config.dear_interval_ms, stretch);
        let line = Line::new(config.clone());
        let health = Health::new(Group::Dear);
        Self {
            config,
            outlet,
            roster,
            line,
            health,
            minute: 0,
            parked: Vec::new(),
            busy: HashSet::new(),
            budget,
            spent: Duration::ZERO,
        }
    }

    pub(super) async fn run(mut self) -> Result<Infallible, Closed> {
        let mut schedule = Schedule::new(Group::Dear, self.config.dear_interval_ms);
        loop {
            let due = schedule.next().await;
            self.spent = Duration::ZERO;
            let mut record = self.tick(&due).await;
            record.tick.gaps.extend(due.missed);
            self.outlet.send(record).await?;
            let stretch = self.budget.spend(self.spent);
            schedule.set_interval(self.config.dear_interval_ms * u64::from(stretch));
        }
    }

    async fn tick(&mut self, due: &Due) -> Record {
        let minute = due.at_us / EVERYTHING_US;
        let error = match self.attempt(minute != self.minute).await {
            Ok(Answer { mut record, busy }) => {
                self.minute = minute;
                self.health.up();
                record.tick.gaps.extend(busy.iter().map(|&vm| Gap {
                    vm: Some(vm),
                    ..due.gap(Group::Dear, Cause::Busy)
                }));
                self.note_busy(busy);
                return record;
            }
            Err(error) => error,
        };
        let mut record = Record::default();
        let cause = self.health.down(&error);
        record
            .tick
            .gaps
            .extend(cause.map(|cause| due.gap(Group::Dear, cause)));
        record
    }

    /// Asks until there is an answer that more asking would not improve, for two deadlines at most.
    async fn attempt(&mut self, everything: bool) -> Result<Answer, Error> {
        self.parked
            .retain(|parked| parked.since.elapsed() < PARKED_FOR && !parked.client.is_released());
        let end = Instant::now() + 2 * self.config.dear_deadline();
        let mut partial = None;
        while Instant::now() < end && (self.line.is_connected() || self.parked.len() < MAX_PARKED) {
            let deadline = end.min(Instant::now() + self.config.dear_deadline());
            let asked = Instant::now();
            let outcome = tokio::time::timeout_at(deadline.into(), self.ask(everything)).await;
            self.spent += asked.elapsed();
            match outcome {
                Ok(Ok(answer)) if partial.is_some() || answer.busy.is_subset(&self.busy) => {
                    return Ok(answer);
                }
                Ok(Ok(answer)) => {
                    // Whoever else asks libvirt at this moment takes jobs too, for milliseconds.
                    partial = Some(answer);
                    tokio::time::sleep(rand::random_range(BUSY_PAUSE)).await;
                }
                Ok(Err(error)) => {
                    drop(self.line.take());
                    return partial.ok_or(error.into());
                }
                Err(_) => {
                    let since = Instant::now();
                    self.parked
                        .extend(self.line.take().map(|client| Parked { client, since }));
                }
            }
        }
        partial.ok_or(Error::Deadline)
    }

    async fn ask(&mut self, everything: bool) -> Result<Answer, libvirt::Error> {
        let mut calls = if everything {
            Vec::new()
        } else {
            self.roster.plan()
        };
        let everything = calls.is_empty();
        if everything {
            calls.push((Groups::DEAR, Vec::new()));
        }
        let mut sheets = Vec::new();
        let (client, _) = self.line.client().await?;
        for (groups, domains) in &calls {
            sheets.extend(rows::read(client.statistics(domains, *groups).await?)?);
        }
        let mut answer = Answer {
            record: Record::default(),
            busy: HashSet::new(),
        };
        answer.record.tick.time_us = now_us();
        for sheet in sheets {
            self.take(sheet, everything, &mut answer);
        }
        Ok(answer)
    }

    fn take(&self, mut sheet: Sheet, everything: bool, answer: &mut Answer) {
        let vm = sheet.domain.vm;
        if sheet.is_active() && !sheet.heard_qemu() {
            answer.busy.insert(vm);
        }
        self.roster.hear(&sheet, everything);
        // The state came along for the lines above; it is the cheap group's to report.
        sheet.set(vm::STATE, Value::ABSENT);
        sheet.set(vm::STATE_REASON, Value::ABSENT);
        // Two clocks for one counter would let it go back.
        if !self.roster.needs_processor_times(vm) {
            sheet.forget_processor_times();
        }
        sheet.fill_totals();
        sheet.fill_used_memory();
        sheet.add_to(&mut answer.record, true);
    }

    /// Names a VM when it begins to be passed over, and when it answers again.
    fn note_busy(&mut self, busy: HashSet<VmId>) {
        for vm in busy.difference(&self.busy) {
            tracing::warn!(vm.id = %vm, "vm is held by another job, its memory and disks have gaps");
        }
        for vm in self.busy.difference(&busy) {
            tracing::info!(vm.id = %vm, "vm is no longer held by another job");
        }
        self.busy = busy;
    }
}
