//! The simulated agents and the collector that they load.

use super::load::{Load, Reading};
use crate::centre::Centre;
use crate::process::{self, Memory};
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use vmscope_harness::simulated::{Agent, Log, Sent};
use vmscope_store::Flavor;

/// Agents that connect at the same time.
const CONNECTING: usize = 32;
/// Agents begin their seconds at this many different moments of a second.
const PHASES: u32 = 1_000;
/// Moments of neighbours are far from each other: the number is prime to [`PHASES`].
const PHASE_STEP: u32 = 617;

/// All of them.
#[derive(Debug)]
pub(super) struct Agents {
    centre: Centre,
    vms: usize,
    log: Arc<Log>,
    running: JoinSet<anyhow::Result<Sent>>,
    stop: CancellationToken,
}

impl Agents {
    /// None yet, and a collector on a new database.
    pub(super) async fn start(vms: usize) -> anyhow::Result<Self> {
        Ok(Self {
            centre: Centre::start(Flavor::Timescale).await?,
            vms,
            log: Arc::default(),
            running: JoinSet::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Starts agents until there are `number`.
    pub(super) async fn grow_to(&mut self, number: usize) -> anyhow::Result<()> {
        while self.running.len() < number {
            let first = self.running.len();
            let seeds = first..number.min(first + CONNECTING);
            let agents = connect(&self.centre, seeds, self.vms, &self.log).await?;
            for (seed, agent) in agents {
                let place = u32::try_from(seed)?.wrapping_mul(PHASE_STEP) % PHASES;
                let phase = Duration::from_secs(1) * place / PHASES;
                self.running.spawn(agent.live(phase, self.stop.clone()));
            }
        }
        Ok(())
    }

    pub(super) fn collector_memory(&self) -> anyhow::Result<Memory> {
        process::tree_memory(self.centre.collector.id())
    }

    /// Watches the load for so long.
    pub(super) async fn observe(&mut self, time: Duration) -> anyhow::Result<Load> {
        let before = self.read().await?;
        let mut peaks = (0.0_f64, 0.0_f64);
        let mut every_second = interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let end = Instant::now() + time;
        while Instant::now() < end {
            every_second.tick().await;
            self.check()?;
            let metrics = self.centre.metrics().await?;
            let gauge = |name: &str| metrics.get(name).copied().unwrap_or_default();
            peaks.0 = peaks.0.max(gauge("vmscope_collector_queue"));
            peaks.1 = peaks.1.max(gauge("vmscope_collector_rows_in_flight"));
        }
        let after = self.read().await?;
        let memory = self.collector_memory()?;
        Load::new(&before, &after, peaks, memory, &self.log)
    }

    /// Ends every agent once its ticks are acknowledged; returns by how many rows the database differs from what they sent.
    pub(super) async fn stop(mut self) -> anyhow::Result<u64> {
        self.stop.cancel();
        let mut sent = 0;
        while let Some(agent) = self.running.join_next().await {
            sent += agent??.vm_rows;
        }
        Ok(sent.abs_diff(self.centre.vm_rows().await?))
    }

    /// Fails when an agent has ended.
    fn check(&mut self) -> anyhow::Result<()> {
        match self.running.try_join_next() {
            None => Ok(()),
            Some(ended) => {
                ended??;
                anyhow::bail!("an agent ended by itself")
            }
        }
    }

    async fn read(&self) -> anyhow::Result<Reading> {
        let metrics = self.centre.metrics().await?;
        let metric = |name: &str| metrics.get(name).copied().context(name.to_owned());
        Ok(Reading {
            at: Instant::now(),
            collector: process::own_cpu(self.centre.collector.id())?,
            database: process::tree_cpu(self.centre.postmaster)?,
            simulator: process::own_cpu(std::process::id())?,
            machine: process::machine_cpu()?,
            rows: metric("vmscope_collector_rows_total")?,
            ticks: metric("vmscope_collector_ticks_total")?,
            commits: metric("vmscope_collector_commit_seconds_count")?,
            commit_s: metric("vmscope_collector_commit_seconds_sum")?,
        })
    }
}

/// Connects agents side by side.
async fn connect(
    centre: &Centre,
    seeds: std::ops::Range<usize>,
    vms: usize,
    log: &Arc<Log>,
) -> anyhow::Result<Vec<(usize, Agent)>> {
    let connecting: Vec<_> = seeds
        .map(|seed| async move {
            let agent = Agent::connect(&centre.site, seed as u64, vms, log).await?;
            anyhow::Ok((seed, agent))
        })
        .collect();
    futures_util::future::try_join_all(connecting).await
}
