//! Breaks a running pipeline at random moments and then counts every sample.
//!
//! Four agents sample this host every 100 ms, each into its buffer and for a host of its own, through a relay that can be cut, to a collector over a
//! PostgreSQL that can be restarted. Each round does one thing: kills an agent, kills the collector (at any moment, or while it commits), restarts the
//! database, or partitions the network. The seed decides what and when; the sequence of a failing seed can be repeated.

use crate::account::{Account, Verdict};
use crate::daemon::Daemon;
use crate::relay::Relay;
use crate::site::{AgentOptions, Host, Site, eventually};
use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use vmscope::postgres::Server;
use vmscope_model::HostId;

/// Hosts that sample at the same time, so that commits follow each other closely and a kill meets one.
const AGENTS: usize = 4;
/// Between samples of the host, in milliseconds: many ticks between two faults.
const INTERVAL_MS: u64 = 100;
/// Between samples of the host's devices, in milliseconds.
const DEAR_INTERVAL_MS: u64 = 300;
/// How long everything may take to arrive once nothing is broken any more.
const DRAIN_LIMIT: Duration = Duration::from_secs(90);

/// How long to wait for a commit: agents may be cut off from the collector at that moment.
const MEET_LIMIT: Duration = Duration::from_secs(1);
/// Commits wait this long before they flush, so that a kill meets one: between two transactions that belong together, a
/// collector would be caught nearly every time.
const SLOW_COMMITS: &str =
    "ALTER DATABASE vmscope SET commit_delay = 50000; ALTER DATABASE vmscope SET commit_siblings = 0";
/// How many single samples a report names.
const REPORTED_FAULTS: usize = 20;

/// What a round breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillAgent,
    KillCollector,
    KillCollectorInCommit,
    RestartDatabase,
    Partition,
}

/// Each as likely as the next.
const FAULTS: [Fault; 5] = [
    Fault::KillAgent,
    Fault::KillCollector,
    Fault::KillCollectorInCommit,
    Fault::RestartDatabase,
    Fault::Partition,
];

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
        // None of these faults takes anything that the buffer has.
        let kept = self.verdict.faults.is_empty() && self.verdict.entered == 0;
        kept && self.verdict.uncertain <= self.agent_kills && self.verdict.ticks > 0
    }

    /// For people: what was done and what the count says.
    pub fn report(&self) -> String {
        let made: Vec<String> = self
            .made
            .iter()
            .map(|(fault, count)| format!("{fault} {count}"))
            .collect();
        let Verdict {
            ticks,
            rows,
            uncertain,
            entered,
            faults,
        } = &self.verdict;
        let mut text = format!(
            "faults made: {}\nticks taken {ticks}, rows {rows}, lost without a word or double {}, lost and entered {entered}, \
             in hand at a kill {uncertain}",
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
    agents: Vec<Agent>,
    random: StdRng,
}

/// A host's agent; `None` while it is dead.
struct Agent {
    host: Host,
    daemon: Option<Daemon>,
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
        made: made
            .into_iter()
            .map(|(fault, count)| (format!("{fault:?}"), count))
            .collect(),
        verdict,
    })
}

impl Pipeline {
    async fn start(folder: &Path, seed: u64) -> anyhow::Result<Self> {
        let database = start_database(folder).await?;
        let site = Site::new(&database.url)?;
        site.connect().await?.batch_execute(SLOW_COMMITS).await?;
        let collector = Some(site.start_collector()?);
        let mut pipeline = Self {
            relay: Relay::start(site.collector_address).await?,
            random: StdRng::seed_from_u64(seed),
            database: Some(database),
            agents: Vec::new(),
            collector,
            site,
        };
        for number in 0..AGENTS {
            pipeline.agents.push(Agent {
                host: pipeline.site.add_host()?,
                daemon: None,
            });
            pipeline.start_agent(number)?;
        }
        Ok(pipeline)
    }

    fn start_agent(&mut self, number: usize) -> anyhow::Result<()> {
        let options = AgentOptions {
            interval_ms: INTERVAL_MS,
            dear_interval_ms: DEAR_INTERVAL_MS,
            dear_deadline_ms: DEAR_INTERVAL_MS / 3,
            ..AgentOptions::new(self.relay.address)
        };
        let agent = &mut self.agents[number];
        agent.daemon = Some(self.site.start_agent(&agent.host, &options)?);
        Ok(())
    }

    /// Waits a random while, breaks something, and mends it after another while.
    async fn round(&mut self) -> anyhow::Result<Fault> {
        self.pause(100..1_500).await;
        self.check_alive()?;
        let fault = FAULTS[self.random.random_range(0..FAULTS.len())];
        match fault {
            Fault::KillAgent => {
                let number = self.random.random_range(0..AGENTS);
                self.agents[number]
                    .daemon
                    .take()
                    .context("the agent runs")?
                    .kill()?;
                self.pause(0..300).await;
                self.start_agent(number)?;
            }
            Fault::KillCollector | Fault::KillCollectorInCommit => {
                if fault == Fault::KillCollectorInCommit {
                    self.meet_commit().await?;
                }
                self.collector.take().context("the collector runs")?.kill()?;
                self.pause(0..1_500).await;
                self.collector = Some(self.site.start_collector()?);
            }
            Fault::RestartDatabase => {
                let server = self.database.take().context("the database runs")?;
                let folder = server.root.clone();
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

    /// Returns while a commit of the collector is under way: a kill then falls before or after its end.
    async fn meet_commit(&self) -> anyhow::Result<()> {
        let text =
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND query ILIKE 'commit%'";
        let database = self.site.connect().await?;
        let asked = Instant::now();
        while !database.query_one(text, &[]).await?.get::<_, bool>(0) && asked.elapsed() < MEET_LIMIT {}
        Ok(())
    }

    /// A daemon that ends by itself is no fault that this test has made.
    fn check_alive(&mut self) -> anyhow::Result<()> {
        let agents = self.agents.iter_mut().map(|agent| &mut agent.daemon);
        for daemon in agents.chain([&mut self.collector]) {
            let daemon = daemon.as_mut().context("all daemons run")?;
            ensure!(
                daemon.is_alive(),
                "a daemon ended by itself; its log is {}",
                daemon.log.display()
            );
        }
        Ok(())
    }

    async fn pause(&mut self, range_ms: std::ops::Range<u64>) {
        let wait_ms = self.random.random_range(range_ms);
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }

    /// Stops the agents, lets a last run of each deliver everything, and compares.
    async fn settle(mut self) -> anyhow::Result<Verdict> {
        let database = self.site.connect().await?;
        for number in 0..AGENTS {
            self.agents[number]
                .daemon
                .take()
                .context("the agent runs")?
                .stop()?;
            self.start_agent(number)?;
        }
        let mut verdict = Verdict::default();
        for agent in &mut self.agents {
            drain(agent, &database).await?;
            agent.daemon.take().context("the agent runs")?.stop()?;
        }
        self.collector.take().context("the collector runs")?.stop()?;
        for agent in &self.agents {
            let account = Account::read(&agent.host.account_path())?;
            // What the last run took after its last acknowledgement waits in its buffer for a next run.
            let last_run = account.last.keys().next_back().copied().unwrap_or(0);
            let reached = marks(&database, agent.host.id)
                .await?
                .get(&last_run)
                .copied()
                .unwrap_or(0);
            verdict.add(
                account
                    .up_to(last_run, reached)
                    .compare(&database, agent.host.id)
                    .await?,
            );
        }
        Ok(verdict)
    }
}

/// Waits until all that earlier runs of an agent took is committed.
async fn drain(agent: &Agent, database: &Client) -> anyhow::Result<()> {
    let wanted = Account::read(&agent.host.account_path())?.last;
    eventually("the backlog is committed", DRAIN_LIMIT, async || {
        let committed = marks(database, agent.host.id).await?;
        Ok(wanted
            .iter()
            .all(|(epoch, sequence)| committed.get(epoch).is_some_and(|mark| mark >= sequence)))
    })
    .await
}

/// The committed sequence of each epoch of a host.
async fn marks(database: &Client, host: HostId) -> anyhow::Result<BTreeMap<u64, u64>> {
    let text =
        "SELECT epoch, sequence FROM ingest_progress p JOIN host h ON h.id = p.host_id WHERE h.uuid = $1";
    let rows = database.query(text, &[&host.0]).await?;
    rows.iter()
        .map(|row| {
            Ok((
                u64::try_from(row.get::<_, i64>(0))?,
                u64::try_from(row.get::<_, i64>(1))?,
            ))
        })
        .collect()
}

async fn start_database(folder: &Path) -> anyhow::Result<Server> {
    let folder = folder.to_owned();
    Ok(tokio::task::spawn_blocking(move || Server::start(&folder)).await??)
}

/// The server's user must be able to pass through the folder of the test.
fn open_to_all(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(
        folder,
        std::fs::Permissions::from_mode(0o755),
    )?)
}
