//! What is broken: agents on hosts of their own, two collectors, a database; how it starts, how it is mended, how it is counted.

use super::disk::SmallDisk;
use super::network::Network;
use super::witness::Witness;
use super::{AGENTS, COLLECTORS};
use crate::account::{Account, At, Verdict, read_marks};
use crate::clock::{self, Clock};
use crate::daemon::Daemon;
use crate::database;
use crate::netns::Namespace;
use crate::site::{AgentOptions, Host, Second, Site, eventually};
use crate::wire::Wire;
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Client;
use vmscope::postgres::Server;

/// Between samples of the host, in milliseconds: many ticks between two faults.
const INTERVAL_MS: u64 = 100;
/// Between samples of the host's devices, in milliseconds.
const DEAR_INTERVAL_MS: u64 = 300;
/// A few seconds of samples: a full disk is to exceed it now and then.
const MEMORY_RING_BYTES: u64 = 64 << 10;
/// How long everything may take to arrive once nothing is broken any more.
const DRAIN_LIMIT: Duration = Duration::from_mins(2);
/// How long the database may take to answer again.
pub(super) const DATABASE_LIMIT: Duration = Duration::from_mins(1);
/// Commits wait this long before they flush, so that a kill meets one: between two transactions that belong together, a
/// collector would be caught nearly every time.
const SLOW_COMMITS: &str =
    "ALTER DATABASE vmscope SET commit_delay = 50000; ALTER DATABASE vmscope SET commit_siblings = 0";

/// Everything that runs. Fields are dropped in this order: programs, then what they stand on.
pub(super) struct Pipeline {
    pub(super) agents: Vec<Agent>,
    pub(super) collectors: Vec<Collector>,
    pub(super) database: Option<Server>,
    pub(super) network: Network,
    pub(super) site: Site,
}

/// A host's agent; no daemon while it is dead.
pub(super) struct Agent {
    pub(super) host: Host,
    pub(super) daemon: Option<Daemon>,
    pub(super) disk: SmallDisk,
    pub(super) clock: Clock,
    pub(super) witness: Witness,
    /// Where its run before this one ended.
    before: At,
    /// How the network is bad, and for how many rounds.
    pub(super) bad: Option<(Wire, u32)>,
    /// For how many rounds the disk stays full.
    pub(super) full: Option<u32>,
}

/// A collector; no daemon while it is dead.
pub(super) struct Collector {
    pub(super) name: &'static str,
    pub(super) place: Second,
    pub(super) daemon: Option<Daemon>,
}

impl Agent {
    /// The newest position that it began to keep.
    pub(super) fn newest(&self) -> anyhow::Result<At> {
        let path = self.host.account_path();
        if !path.exists() {
            return Ok(At::default());
        }
        Ok(Account::read(&path)?.newest().unwrap_or_default())
    }

    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        let daemon = self.daemon.take().context("the agent runs")?;
        let pid = daemon.id();
        daemon.kill()?;
        clock::forget(pid);
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let daemon = self.daemon.take().context("the agent runs")?;
        let log = daemon.log.clone();
        let status = daemon.stop()?;
        ensure!(
            status.success(),
            "an agent ended with {status}; its log is {}",
            log.display()
        );
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            let pid = daemon.id();
            drop(daemon);
            clock::forget(pid);
        }
    }
}

impl Pipeline {
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        Namespace::sweep();
        SmallDisk::sweep()?;
        let database = database::start(folder).await?;
        let site = Site::new(&database.url)?;
        site.connect().await?.batch_execute(SLOW_COMMITS).await?;
        let mut pipeline = Self {
            agents: Vec::new(),
            collectors: Vec::new(),
            database: Some(database),
            network: Network::create()?,
            site,
        };
        for (number, name) in (0..).zip(COLLECTORS) {
            let mut place = pipeline.site.add_collector(name)?;
            place.address = Network::collector(number);
            place.wrapper = pipeline.network.centre().enter();
            let daemon = Some(pipeline.site.start_second(&place)?);
            pipeline.collectors.push(Collector { name, place, daemon });
        }
        for number in 0..AGENTS {
            pipeline.add_agent().await?;
            pipeline.start_agent(number)?;
        }
        // Of a host whose first run was lost before anybody heard of it, nobody can tell.
        pipeline.wait_for_runs().await?;
        Ok(pipeline)
    }

    async fn add_agent(&mut self) -> anyhow::Result<()> {
        let host = self.site.add_host()?;
        self.network.add_host(u16::try_from(COLLECTORS.len())?).await?;
        self.agents.push(Agent {
            disk: SmallDisk::mount(host.data_dir())?,
            clock: Clock::new(host.path("clock"))?,
            host,
            daemon: None,
            before: At::default(),
            witness: Witness::default(),
            bad: None,
            full: None,
        });
        Ok(())
    }

    pub(super) fn start_agent(&mut self, number: usize) -> anyhow::Result<()> {
        let collectors = self.network.collectors(number, u16::try_from(COLLECTORS.len())?);
        let agent = &mut self.agents[number];
        agent.before = agent.newest()?;
        let mut wrapper = self.network.enter(number);
        wrapper.extend(agent.clock.enter());
        let options = AgentOptions {
            interval_ms: INTERVAL_MS,
            dear_interval_ms: DEAR_INTERVAL_MS,
            dear_deadline_ms: DEAR_INTERVAL_MS / 3,
            memory_ring_bytes: MEMORY_RING_BYTES,
            wrapper,
            ..AgentOptions::new(collectors[0])
        };
        let options = AgentOptions {
            collectors,
            ..options
        };
        agent.daemon = Some(self.site.start_agent(&agent.host, &options)?);
        Ok(())
    }

    /// A daemon that ends by itself is no fault that this test has made.
    pub(super) fn check_alive(&mut self) -> anyhow::Result<()> {
        let agents = self.agents.iter_mut().map(|agent| &mut agent.daemon);
        let collectors = self.collectors.iter_mut().map(|collector| &mut collector.daemon);
        for daemon in agents.chain(collectors) {
            let daemon = daemon.as_mut().context("all daemons run")?;
            ensure!(
                daemon.is_alive(),
                "a daemon ended by itself; its log is {}",
                daemon.log.display()
            );
        }
        Ok(())
    }

    /// A connection, as soon as the database answers.
    pub(super) async fn connect(&self) -> anyhow::Result<Client> {
        let mut connected = None;
        eventually("the database answers", DATABASE_LIMIT, async || {
            connected = Some(self.site.connect().await?);
            Ok(true)
        })
        .await?;
        connected.context("a connection")
    }

    /// Ends what lasts, lets a fresh run of each agent deliver everything that earlier ones took, and compares. Agents are
    /// stopped afterwards.
    pub(super) async fn settle(&mut self) -> anyhow::Result<Verdict> {
        self.check_alive()?;
        self.wait_for_starts().await?;
        for number in 0..AGENTS {
            self.mend_network(number)?;
            self.mend_disk(number)?;
            // An hour before its certificate was made, or later, a host has no valid one and only keeps its samples.
            self.agents[number].clock.set(0)?;
            self.agents[number].stop()?;
            self.start_agent(number)?;
        }
        self.wait_for_runs().await?;
        let database = self.connect().await?;
        let mut verdict = Verdict::default();
        for agent in &mut self.agents {
            agent.stop()?;
            let account = Account::read(&agent.host.account_path())?;
            let newest = account.newest().unwrap_or_default();
            agent.witness.mended(newest);
            // What the last run took after its last acknowledgement waits in its buffer for a next run.
            let marks = read_marks(&database, agent.host.id).await?;
            let reached = marks.get(&newest.0).copied().unwrap_or(0);
            let account = account.up_to(newest.0, reached);
            let mut own = account.compare(&database, agent.host.id).await?;
            agent.witness.judge(&account, &mut own);
            for fault in &mut own.faults {
                *fault = format!("host {}: {fault}", agent.host.id.0);
            }
            verdict.add(own);
        }
        Ok(verdict)
    }

    /// The entries of the loss ledger by cause, in words.
    pub(super) async fn ledger(&self) -> anyhow::Result<String> {
        let text = "SELECT format('%s %s', cause, count(*)) FROM gap WHERE first_epoch IS NOT NULL GROUP BY cause ORDER BY cause";
        let rows = self.connect().await?.query(text, &[]).await?;
        let causes: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        Ok(causes.join(", "))
    }

    pub(super) fn start_agents(&mut self) -> anyhow::Result<()> {
        (0..AGENTS).try_for_each(|number| self.start_agent(number))
    }

    /// Leaves everything for a person to look at; gives where.
    pub(super) fn keep(&mut self) -> PathBuf {
        for agent in &self.agents {
            // What can't be copied is not worth losing the report for.
            let _ = agent.disk.keep(&agent.host.path("data-kept"));
        }
        self.site.keep().to_owned()
    }

    /// Stops the collectors and the database in order.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        for collector in &mut self.collectors {
            collector.daemon.take().context("the collector runs")?.stop()?;
        }
        let server = self.database.take().context("the database runs")?;
        Ok(tokio::task::spawn_blocking(move || server.stop()).await?)
    }

    pub(super) fn mend_network(&mut self, number: usize) -> anyhow::Result<()> {
        self.agents[number].bad = None;
        self.network.set(number, None)
    }

    pub(super) fn mend_disk(&mut self, number: usize) -> anyhow::Result<()> {
        self.agents[number].full = None;
        self.agents[number].disk.free()
    }

    /// Waits until each agent's present run has begun: before, a program dies of the signal that stops it.
    async fn wait_for_starts(&self) -> anyhow::Result<()> {
        for agent in &self.agents {
            let what = format!("host {} samples", agent.host.id.0);
            eventually(
                &what,
                DRAIN_LIMIT,
                async || Ok(agent.newest()?.0 > agent.before.0),
            )
            .await?;
        }
        Ok(())
    }

    /// Waits until a tick of each agent's present run is committed: then everything of earlier runs is decided.
    async fn wait_for_runs(&self) -> anyhow::Result<()> {
        let database = self.connect().await?;
        for agent in &self.agents {
            let pid = agent.daemon.as_ref().map(Daemon::id);
            let what = format!("host {} (process {pid:?}) delivers", agent.host.id.0);
            eventually(&what, DRAIN_LIMIT, async || {
                let (epoch, _) = agent.newest()?;
                let marks = read_marks(&database, agent.host.id).await?;
                Ok(epoch > agent.before.0 && marks.get(&epoch).is_some_and(|mark| *mark > 0))
            })
            .await?;
        }
        Ok(())
    }
}
