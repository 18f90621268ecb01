//! One round: something breaks, and is mended or left to last for some rounds.

use super::disk::damage;
use super::pipeline::Pipeline;
use super::plan::{Fault, Round};
use crate::account::read_marks;
use crate::database;
use crate::wire::Wire;
use anyhow::Context;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long to wait for a commit: agents may be cut off from the collector at that moment.
const MEET_LIMIT: Duration = Duration::from_secs(1);
/// How long a connection must not have committed before a commit counts as the first of what belongs together.
const COMMIT_PAUSE: Duration = Duration::from_millis(15);

impl Pipeline {
    /// Does what the plan says; gives what is worth to know beyond that.
    pub(super) async fn round(&mut self, round: &Round) -> anyhow::Result<String> {
        hold(round.wait_ms).await;
        self.check_alive()?;
        self.end_what_lasted()?;
        match round.fault {
            Fault::Bad { agent, wire, rounds } => {
                self.agents[agent].bad = Some((wire, rounds));
                self.network.set(agent, Some(wire))?;
            }
            Fault::Partition {
                agent,
                unplugged,
                hold_ms,
            } => self.partition(agent, unplugged, hold_ms).await?,
            Fault::ChangeAddress { agent } => self.network.change_address(agent)?,
            Fault::FillDisk {
                agent,
                left_kib,
                rounds,
            } => {
                let agent = &mut self.agents[agent];
                let newest = agent.newest()?;
                agent.witness.full(newest);
                agent.full = Some(rounds);
                agent.disk.fill(left_kib)?;
            }
            Fault::Damage { agent, how, seed } => {
                self.agents[agent].kill()?;
                let database = self.connect().await?;
                let host = &self.agents[agent].host;
                let marks = read_marks(&database, host.id).await?;
                let committed = marks.last_key_value().map_or((0, 0), |(e, s)| (*e, *s));
                let done = damage(&host.data_dir(), how, seed)?;
                self.agents[agent].witness.damaged(committed);
                self.start_agent(agent)?;
                return Ok(done.join(", "));
            }
            Fault::KillAgent { agent, hold_ms } => {
                self.agents[agent].kill()?;
                hold(hold_ms).await;
                self.start_agent(agent)?;
            }
            Fault::KillCollector {
                busy,
                in_commit,
                hold_ms,
            } => return self.kill_collector(busy, in_commit, hold_ms).await,
            Fault::KillDatabase => self.kill_database().await?,
            Fault::StopDatabase { hold_ms } => {
                let server = self.database.take().context("the database runs")?;
                let folder = server.root.clone();
                tokio::task::spawn_blocking(move || server.stop()).await?;
                hold(hold_ms).await;
                self.database = Some(database::start(&folder).await?);
            }
            Fault::SetClock { agent, offset_s } => self.agents[agent].clock.set(offset_s)?,
        }
        Ok(String::new())
    }

    /// What was to last for some rounds has one less.
    fn end_what_lasted(&mut self) -> anyhow::Result<()> {
        for number in 0..self.agents.len() {
            let agent = &mut self.agents[number];
            let bad = agent.bad.as_mut().map(|(_, rounds)| rounds);
            let is_over = |rounds: &mut u32| {
                *rounds = rounds.saturating_sub(1);
                *rounds == 0
            };
            let (bad, full) = (bad.is_some_and(is_over), agent.full.as_mut().is_some_and(is_over));
            if bad {
                self.mend_network(number)?;
            }
            if full {
                self.mend_disk(number)?;
            }
        }
        Ok(())
    }

    async fn partition(&self, agent: Option<usize>, unplugged: bool, hold_ms: u64) -> anyhow::Result<()> {
        let cut: Vec<usize> = agent.map_or_else(|| (0..self.agents.len()).collect(), |agent| vec![agent]);
        for &number in &cut {
            if unplugged {
                self.network.set_plugged(number, false)?;
            } else {
                self.network.set(number, Some(Wire::Dead))?;
            }
        }
        hold(hold_ms).await;
        for number in cut {
            self.network.set_plugged(number, true)?;
            let wire = self.agents[number].bad.map(|(wire, _)| wire);
            self.network.set(number, wire)?;
        }
        Ok(())
    }

    async fn kill_collector(&mut self, busy: bool, in_commit: bool, hold_ms: u64) -> anyhow::Result<String> {
        let most =
            "SELECT collector FROM host_session GROUP BY collector ORDER BY count(*) DESC, collector LIMIT 1";
        let row = self.connect().await?.query_opt(most, &[]).await?;
        let most: Option<String> = row.map(|row| row.get(0));
        let has_most = |name: &str| most.as_deref().is_none_or(|most| most == name);
        let number = self
            .collectors
            .iter()
            .position(|collector| has_most(collector.name) == busy)
            .unwrap_or(0);
        if in_commit {
            self.meet_commit(self.collectors[number].name).await?;
        }
        let collector = &mut self.collectors[number];
        collector.daemon.take().context("the collector runs")?.kill()?;
        hold(hold_ms).await;
        let name = collector.name;
        collector.daemon = Some(self.site.start_second(&collector.place)?);
        Ok(format!("it was the {name} one"))
    }

    /// Returns while a commit of that collector is under way, the first after a pause of its connection: a kill falls behind
    /// the samples' commit, and before any other that should have been the same one.
    async fn meet_commit(&self, collector: &str) -> anyhow::Result<()> {
        let text = "SELECT pid FROM pg_stat_activity \
             WHERE application_name = $1 AND state = 'active' AND query ILIKE 'commit%'";
        let database = self.connect().await?;
        let asked = Instant::now();
        let mut committed: HashMap<i32, Instant> = HashMap::new();
        while asked.elapsed() < MEET_LIMIT {
            for row in database.query(text, &[&collector]).await? {
                let last = committed.insert(row.get(0), Instant::now());
                if last.unwrap_or(asked).elapsed() > COMMIT_PAUSE {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The server that keeps it starts it again by itself.
    async fn kill_database(&self) -> anyhow::Result<()> {
        let server = self.database.as_ref().context("the database runs")?;
        database::kill(server).await?;
        self.connect().await.map(|_| ())
    }
}

async fn hold(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
