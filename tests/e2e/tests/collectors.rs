//! Several collectors over one database: when one fails, in whichever way, its agents are with another one within seconds,
//! and every sample is there exactly once.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and the time is of interest"
)]

use std::time::{Duration, Instant};
use tokio_postgres::Client;
use vmscope_harness::account::{Account, Verdict};
use vmscope_harness::daemon::Daemon;
use vmscope_harness::relay::Relay;
use vmscope_harness::site::{AgentOptions, Host, Site, eventually};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// Hosts with agents.
const AGENTS: usize = 4;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// Twice the promise of five seconds: this machine runs other tests, too.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(10);

/// Two collectors over one database, the first one behind a relay, and agents that prefer it.
struct Pair {
    database: Database,
    client: Client,
    site: Site,
    relay: Relay,
    first: Option<Daemon>,
    second: Daemon,
    agents: Vec<(Host, Daemon)>,
}

impl Pair {
    /// Starts all of it and waits until the first collector stores samples of every agent.
    async fn start() -> Self {
        let database = Database::create(Flavor::Postgres).await.unwrap();
        let site = Site::new(database.url()).unwrap();
        let client = site.connect().await.unwrap();
        let address = site.add_collector("second").unwrap();
        let first = Some(site.start_collector().unwrap());
        let second = site.start_second(&address).unwrap();
        // An agent that finds the first one not up yet goes to the second, and stays there.
        eventually("both collectors are up", PATIENCE, async || {
            let text = "SELECT count(*) = 2 FROM collector";
            Ok(client.query_one(text, &[]).await?.get(0))
        })
        .await
        .unwrap();
        let relay = Relay::start(site.collector_address).await.unwrap();
        let options = AgentOptions {
            collectors: vec![relay.address, address.address],
            interval_ms: 100,
            dear_interval_ms: 500,
            dear_deadline_ms: 200,
            ..AgentOptions::new(relay.address)
        };
        let mut agents = Vec::new();
        for _ in 0..AGENTS {
            let host = site.add_host().unwrap();
            let daemon = site.start_agent(&host, &options).unwrap();
            agents.push((host, daemon));
        }
        let pair = Self {
            database,
            client,
            site,
            relay,
            first,
            second,
            agents,
        };
        eventually("every agent is with the first collector", PATIENCE, async || {
            for (host, _) in &pair.agents {
                let stored = mark(&pair.client, host).await? > 10;
                if !stored || held_by(&pair.client, host).await? != "test" {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
        .unwrap();
        pair
    }

    /// Waits until samples of every agent are committed by the second collector; prints how long each took.
    async fn taken_over(&self, how: &str) {
        let begun = Instant::now();
        let mut waiting = Vec::new();
        for (host, _) in &self.agents {
            waiting.push((host, mark(&self.client, host).await.unwrap()));
        }
        let mut took_ms = Vec::new();
        while !waiting.is_empty() {
            assert!(
                begun.elapsed() < PATIENCE,
                "{how}: {} agents are nowhere",
                waiting.len()
            );
            let mut left = Vec::new();
            for (host, before) in waiting {
                let moved = held_by(&self.client, host).await.unwrap() == "second"
                    && mark(&self.client, host).await.unwrap() > before;
                if moved {
                    took_ms.push(begun.elapsed().as_millis());
                } else {
                    left.push((host, before));
                }
            }
            waiting = left;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("{how}: samples committed by the other collector after {took_ms:?} ms");
        assert!(begun.elapsed() < TAKEOVER_LIMIT, "{how}: {:?}", begun.elapsed());
    }

    /// Waits until everything that was taken so far is committed, stops the agents, and compares.
    async fn verdict(&mut self) -> Verdict {
        let mut verdict = Verdict::default();
        for (host, daemon) in self.agents.drain(..) {
            let wanted = Account::read(&host.account_path()).unwrap().last;
            let wanted = *wanted.values().next_back().unwrap();
            eventually("what was taken is committed", PATIENCE, async || {
                Ok(mark(&self.client, &host).await? >= i64::try_from(wanted)?)
            })
            .await
            .unwrap();
            assert!(daemon.stop().unwrap().success());
            let account = Account::read(&host.account_path()).unwrap();
            let epoch = *account.last.keys().next_back().unwrap();
            let reached = u64::try_from(mark(&self.client, &host).await.unwrap()).unwrap();
            let account = account.up_to(epoch, reached);
            verdict.add(account.compare(&self.client, host.id).await.unwrap());
        }
        verdict
    }

    /// Every sample is there once, and no agent went back by itself.
    async fn judge(mut self) {
        for (host, _) in &self.agents {
            assert_eq!(held_by(&self.client, host).await.unwrap(), "second");
        }
        let verdict = self.verdict().await;
        assert_eq!(
            (verdict.faults, verdict.uncertain),
            (Vec::<String>::new(), vec![])
        );
        assert!(verdict.ticks > 100, "{}", verdict.ticks);
        let Self {
            database,
            first,
            second,
            ..
        } = self;
        drop((first, second));
        database.close().await.unwrap();
    }
}

/// The highest committed sequence of the newest run of a host's agent.
async fn mark(client: &Client, host: &Host) -> anyhow::Result<i64> {
    let text = "SELECT sequence FROM ingest_progress p JOIN host h ON h.id = p.host_id WHERE h.uuid = $1
        ORDER BY epoch DESC LIMIT 1";
    Ok(client
        .query_opt(text, &[&host.id.0])
        .await?
        .map_or(0, |row| row.get(0)))
}

/// The collector that holds the session of a host.
async fn held_by(client: &Client, host: &Host) -> anyhow::Result<String> {
    let text = "SELECT s.collector FROM host_session s JOIN host h ON h.id = s.host_id WHERE h.uuid = $1";
    Ok(client
        .query_opt(text, &[&host.id.0])
        .await?
        .map_or_else(String::new, |row| row.get(0)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_of_a_killed_collector_go_on_with_another() {
    let mut pair = Pair::start().await;
    pair.first.take().unwrap().kill().unwrap();
    pair.taken_over("killed").await;
    pair.first = Some(pair.site.start_collector().unwrap());
    eventually("the first collector is back", PATIENCE, async || {
        // A second heartbeat: it has been up for a while, and nobody came back.
        let text =
            "SELECT count(*) > 0 FROM collector WHERE name = 'test' AND started_at > now() - interval '1 min'
            AND heartbeat_at > started_at + interval '3 s'";
        Ok(pair.client.query_one(text, &[]).await?.get(0))
    })
    .await
    .unwrap();
    pair.judge().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_leave_a_collector_that_they_can_not_reach() {
    let pair = Pair::start().await;
    pair.relay.set_cut(true);
    pair.taken_over("unreachable").await;
    pair.relay.set_cut(false);
    pair.judge().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_collector_that_wakes_up_stores_nothing_of_hosts_it_lost() {
    let pair = Pair::start().await;
    let first = pair.first.as_ref().unwrap();
    first.freeze().unwrap();
    pair.taken_over("frozen").await;
    first.thaw().unwrap();
    eventually("the first collector goes on", PATIENCE, async || {
        let text = "SELECT count(*) > 0 FROM collector WHERE name = 'test' AND sessions = 0 AND now() - heartbeat_at < '3 s'";
        Ok(pair.client.query_one(text, &[]).await?.get(0))
    })
    .await
    .unwrap();
    pair.judge().await;
}
