//! The loop of what QEMU must be asked for: processors, memory and disks of VMs.
//!
//! A QEMU that does not answer (stopped, or its storage hangs) holds up the whole call. libvirt then keeps that VM's job
//! taken, so the same call on a new connection passes the VM over: this loop asks a second time at once and parks the
//! first connection. Each hanging VM can hold one connection and one of libvirt's workers, therefore there are at most
//! [`MAX_PARKED`], and while they are all taken nothing further is risked. A VM that was passed over is a gap of that VM.

use super::Config;
use super::line::{Error, Health, Line};
use super::outlet::{Closed, Outlet};
use super::schedule::{Due, Schedule};
use crate::libvirt::protocol::Groups;
use crate::libvirt::{self, Client, rows};
use std::collections::HashSet;
use std::convert::Infallible;
use std::time::{Duration, Instant};
use vmscope_model::{Cause, Gap, Group, Record, VmId};

/// Connections that may wait for an answer that nobody wants any more.
const MAX_PARKED: usize = 3;
/// How long one is kept. Afterwards its VM's job is still taken and does no further harm.
const PARKED_FOR: Duration = Duration::from_secs(60);
/// Calls in one tick.
const ATTEMPTS: usize = 2;

/// Asks for the dear groups.
pub(super) struct DearLoop {
    config: Config,
    outlet: Outlet,
    line: Line,
    health: Health,
    parked: Vec<Parked>,
    busy: HashSet<VmId>,
}

struct Parked {
    client: Client,
    since: Instant,
}

impl DearLoop {
    pub(super) fn new(config: Config, outlet: Outlet) -> Self {
        let line = Line::new(config.clone());
        let health = Health::new(Group::Dear);
        Self {
            config,
            outlet,
            line,
            health,
            parked: Vec::new(),
            busy: HashSet::new(),
        }
    }

    pub(super) async fn run(mut self) -> Result<Infallible, Closed> {
        let mut schedule = Schedule::new(Group::Dear, self.config.dear_interval_ms);
        loop {
            let due = schedule.next().await;
            let mut record = self.tick(&due).await;
            record.tick.gaps.extend(due.missed);
            self.outlet.send(record).await?;
        }
    }

    async fn tick(&mut self, due: &Due) -> Record {
        let error = match self.attempt().await {
            Ok((mut record, busy)) => {
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

    async fn attempt(&mut self) -> Result<(Record, HashSet<VmId>), Error> {
        self.parked
            .retain(|parked| parked.since.elapsed() < PARKED_FOR && !parked.client.is_released());
        for _ in 0..ATTEMPTS {
            if self.parked.len() >= MAX_PARKED && !self.line.is_connected() {
                break;
            }
            match tokio::time::timeout(self.config.dear_deadline(), self.ask()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => {
                    drop(self.line.take());
                    return Err(error.into());
                }
                Err(_) => {
                    let since = Instant::now();
                    self.parked
                        .extend(self.line.take().map(|client| Parked { client, since }));
                }
            }
        }
        Err(Error::Deadline)
    }

    async fn ask(&mut self) -> Result<(Record, HashSet<VmId>), libvirt::Error> {
        let (client, _) = self.line.client().await?;
        let answer = client.statistics(Groups::DEAR).await?;
        let mut record = Record::default();
        let seen = rows::dear(answer, &mut record)?;
        let busy = seen.iter().filter(|seen| seen.busy).map(|seen| seen.vm).collect();
        Ok((record, busy))
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
