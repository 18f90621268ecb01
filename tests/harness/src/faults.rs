//! Breaks a running pipeline at random moments and then counts every sample.
//!
//! One agent samples this host every 100 ms into its buffer, through a relay that can be cut, to a collector over a
//! PostgreSQL that can be restarted. Each round does one thing: kills the agent, kills the collector, restarts the
//! database, or partitions the network. The seed decides what and when; the sequence of a failing seed can be repeated.

use crate::account::{Account, Verdict};
use crate::daemon::Daemon;
use crate::relay::Relay;
use crate::site::{AgentOptions, Site, eventually};
use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use vmscope::postgres::Server;

/// Between samples of the host, in milliseconds: many ticks between two faults.
const INTERVAL_MS: u64 = 100;
/// Between samples of the host's devices, in milliseconds.
const DEAR_INTERVAL_MS: u64 = 300;
/// How long everything may take to arrive once nothing is broken any more.
const DRAIN_LIMIT: Duration = Duration::from_secs(90);

/// How many single samples a report names.
const REPORTED_FAULTS: usize = 20;

/// What a round breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillAgent,
    KillCollector,
    RestartDatabase,
    Partition,
}

/// Each as likely as the next.
const FAULTS: [Fault; 4] = [Fault::KillAgent, Fault::KillCollector, Fault::RestartDatabase, Fault::Partition];

/// What the rounds did and what the count says.
#[derive(Debug)]
pub struct Outcome {
    /// How often each fault was made.
    pub made: BTreeMap<String, u32>,
    /// How often the agent was killed: each kill may cost the tick that was being taken.
    pub agent_kills: u64,
    /// The comparison.
    pub verdict: Verdict,
}

impl Outcome {
    /// Whether every sample is there exactly once, but for at most the tick in hand at each kill of the agent.
    pub fn holds(&self) -> bool {
        self.verdict.faults.is_empty() && self.verdict.uncertain <= self.agent_kills && self.verdict.ticks > 0
    }

    /// For people: what was done and what the count says.
    pub fn report(&self) -> String {
        let made: Vec<String> = self.made.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        let Verdict { ticks, rows, uncertain, faults } = &self.verdict;
        let mut text = format!(
            "faults made: {}\nticks taken {ticks}, rows {rows}, lost or double {}, in hand at a kill {uncertain}",
            made.join(", "),
            faults.len()
        );
        for fault in faults.iter().take(REPORTED_FAULTS) {
            text.push_str("\n  ");
            text.push_str(fault);
        }
        text
    }
}

struct Pipeline {
    site: Site,
    relay: Relay,
    database: Option<Server>,
    collector: Option<Daemon>,
    agent: Option<Daemon>,
    random: StdRng,
}

/// Runs `rounds` rounds of faults from `seed` and compares.
///
/// # Errors
/// When the pipeline can't be started or does not drain: a fault in itself, since nothing is broken at the end.
pub async fn run(rounds: u32, seed: u64) -> anyhow::Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("vmscope-faults-").tempdir()?;
    open_to_all(folder.path())?;
    let mut pipeline = Pipeline::start(folder.path(), seed).await?;
    let mut made: BTreeMap<Fault, u32> = BTreeMap::new();
    for _ in 0..rounds {
        *made.entry(pipeline.round().await?).or_default() += 1;
    }
    let verdict = pipeline.settle().await?;
    Ok(Outcome {
        agent_kills: u64::from(made.get(&Fault::KillAgent).copied().unwrap_or(0)),
        made: made.into_iter().map(|(fault, count)| (format!("{fault:?}"), count)).collect(),
        verdict,
    })
}

impl Pipeline {
    async fn start(folder: &Path, seed: u64) -> anyhow::Result<Self> {
        let database = start_database(folder).await?;
        let site = Site::new(&database.url)?;
        let relay = Relay::start(site.collector_address).await?;
        let random = StdRng::seed_from_u64(seed);
        let mut pipeline = Self { site, relay, database: Some(database), collector: None, agent: None, random };
        pipeline.collector = Some(pipeline.site.start_collector()?);
        pipeline.start_agent()?;
        Ok(pipeline)
    }

    fn start_agent(&mut self) -> anyhow::Result<()> {
        let options = AgentOptions {
            interval_ms: INTERVAL_MS,
            dear_interval_ms: DEAR_INTERVAL_MS,
            dear_deadline_ms: DEAR_INTERVAL_MS / 3,
            ..AgentOptions::new(self.relay.address)
        };
        self.agent = Some(self.site.start_agent(&options)?);
        Ok(())
    }

    /// Waits a random while, breaks something, and mends it after another while.
    async fn round(&mut self) -> anyhow::Result<Fault> {
        self.pause(100..1_500).await;
        for daemon in [&mut self.agent, &mut self.collector] {
            let daemon = daemon.as_mut().context("both daemons run")?;
            ensure!(daemon.is_alive(), "a daemon ended by itself; its log is {}", daemon.log.display());
        }
        let fault = FAULTS[self.random.random_range(0..FAULTS.len())];
        match fault {
            Fault::KillAgent => {
                self.agent.take().context("the agent runs")?.kill()?;
                self.pause(0..300).await;
                self.start_agent()?;
            }
            Fault::KillCollector => {
                self.collector.take().context("the collector runs")?.kill()?;
                self.pause(0..1_500).await;
                self.collector = Some(self.site.start_collector()?);
            }
            Fault::RestartDatabase => {
                let folder = self.database_folder();
                let server = self.database.take().context("the database runs")?;
                tokio::task::spawn_blocking(move || server.stop()).await?;
                self.pause(0..1_500).await;
                self.database = Some(start_database(&folder).await?);
            }
            Fault::Partition => {
                self.relay.set_cut(true);
                self.pause(100..4_000).await;
                self.relay.set_cut(false);
            }
        }
        Ok(fault)
    }

    fn database_folder(&self) -> std::path::PathBuf {
        self.database.as_ref().map(|server| server.root.clone()).unwrap_or_default()
    }

    async fn pause(&mut self, range_ms: std::ops::Range<u64>) {
        let wait_ms = self.random.random_range(range_ms);
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }

    /// Stops the agent, lets a last run of it deliver everything, and compares.
    async fn settle(mut self) -> anyhow::Result<Verdict> {
        self.agent.take().context("the agent runs")?.stop()?;
        self.start_agent()?;
        let account = self.site.account_path();
        let wanted = Account::read(&account)?;
        let database = self.site.connect().await?;
        eventually("the backlog is committed", DRAIN_LIMIT, async || {
            let committed = marks(&database).await?;
            Ok(wanted.last.iter().all(|(epoch, sequence)| committed.get(epoch).is_some_and(|mark| mark >= sequence)))
        })
        .await?;
        self.agent.take().context("the agent runs")?.stop()?;
        let wanted = Account::read(&account)?;
        let last_run = wanted.last.iter().next_back().map(|(epoch, _)| *epoch);
        // What the last run took after its last acknowledgement stays in its buffer: not lost, not delivered either.
        let committed = marks(&database).await?;
        let reached = last_run.and_then(|epoch| committed.get(&epoch).copied()).unwrap_or(0);
        self.collector.take().context("the collector runs")?.stop()?;
        wanted.up_to(last_run.unwrap_or(0), reached).compare(&database).await
    }
}

async fn marks(database: &tokio_postgres::Client) -> anyhow::Result<BTreeMap<u64, u64>> {
    let rows = database.query("SELECT epoch, sequence FROM ingest_progress", &[]).await?;
    rows.iter().map(|row| Ok((u64::try_from(row.get::<_, i64>(0))?, u64::try_from(row.get::<_, i64>(1))?))).collect()
}

async fn start_database(folder: &Path) -> anyhow::Result<Server> {
    let folder = folder.to_owned();
    Ok(tokio::task::spawn_blocking(move || Server::start(&folder)).await??)
}

/// The server's user must be able to pass through the folder of the test.
fn open_to_all(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?)
}
