//! A fleet of simulated hosts that is asked about everything it sent.
//!
//! Hundreds of hosts with real sessions send samples of some machines each. All that happens is decided by a seed ([`plan`]): machines
//! move, restart, are paused, shut off and renamed; hosts stop, are cut off, come with an hour that they kept. What a machine
//! shows is a function of machine and moment ([`life`]), so that the account ([`account`]) has the moments of ticks alone. While the
//! fleet runs, lists, searches, groups and counts are held against the account, and when it has ended history, top lists and exports,
//! value by value ([`check`]), all through the API of a real web server.
//!
//! At last the account is forged by one tick: checks that don't notice would prove nothing.

mod account;
mod check;
mod host;
mod life;
mod plan;

pub use check::Checks;
pub use plan::Scale;

use crate::live::Live;
use crate::person::Person;
use crate::simulated::{Log, wall_us};
use crate::site::{Site, eventually};
use account::{Account, Books};
use anyhow::{Context, ensure};
use check::{Auditor, Groups, Row, label, rows, unlabel};
use host::{Player, Stage};
use plan::{Plan, SECOND_US};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vmscope_model::label::Labels;

/// Sessions that open at the same time.
const OPENING: usize = 32;
/// Between the making of the plan and the beginning of the run.
const HEAD_START: Duration = Duration::from_secs(1);
/// How long one thing may take that is waited for.
const PATIENCE: Duration = Duration::from_mins(4);
/// How old the oldest tick may be that is not stored, when lists are asked for.
const CURRENT: Duration = Duration::from_secs(3);
/// How old the newest sample is of machines that are about to fall silent, in seconds.
const FALLING_SILENT_S: std::ops::Range<i64> = 5..16;
/// Machines that are put into a group by hand.
const PICKED: usize = 37;
/// Queries of history.
const QUERIES: usize = 240;

/// What was sent and compared.
#[derive(Debug)]
pub struct Outcome {
    /// Ticks that were sent and acknowledged.
    pub ticks: usize,
    /// Rows of virtual machines in them.
    pub rows: usize,
    /// Seconds from a live tick to its acknowledgement: of half of them less, of 99 of 100, of all.
    pub lag_s: [f64; 3],
    /// How long the fleet ran, and how long questions took, in seconds.
    pub took_s: [f64; 2],
    /// What was compared.
    pub checks: Checks,
    /// What differs when one tick is struck out of the account: more than nothing.
    pub noticed: u64,
}

impl Outcome {
    /// Whether everything was as it was sent, and the checks see it when it is not.
    pub fn holds(&self) -> bool {
        self.checks.differing == 0 && self.noticed > 0
    }
}

/// Runs a fleet against a collector and a web server over this database; `say` is told how it goes.
///
/// # Errors
/// When something can't be started, a session breaks, or the service does not answer.
pub async fn prove(database_url: &str, scale: Scale, say: impl Fn(&str)) -> anyhow::Result<Outcome> {
    let site = Site::new(database_url)?;
    let mut collector = site.start_collector()?;
    let live = Live::start(&site).await?;
    let mut fleet = Fleet::start(&site, scale)?;
    say(&format!(
        "{} hosts with {} machines each are on their way",
        scale.hosts, scale.vms
    ));
    fleet.introduce(&live.person).await?;
    say("machines are labelled and in groups");
    fleet.wait_until_calm(&live.person).await?;
    say("asked while samples come in");
    fleet.check_lists(&live.person)?;
    let ran_s = fleet.stop().await?;
    say("all that was sent is stored; asked about history");
    let asked = Instant::now();
    fleet.check_history(&live.person).await?;
    fleet.forge(&live.person)?;
    ensure!(collector.is_alive(), "the collector has ended");
    let mut web = live.web.daemon;
    ensure!(web.is_alive(), "the web server has ended");
    web.stop()?;
    collector.stop()?;
    Ok(fleet.outcome([ran_s, asked.elapsed().as_secs_f64()]))
}

/// A fleet at work, and what is known of it.
struct Fleet {
    stage: Arc<Stage>,
    players: JoinSet<anyhow::Result<()>>,
    labels: BTreeMap<usize, Labels>,
    groups: Groups,
    checks: Checks,
    noticed: u64,
    /// The account when it was closed.
    books: Books,
}

impl Fleet {
    fn start(site: &Site, scale: Scale) -> anyhow::Result<Self> {
        let begun_us = wall_us()? + i64::try_from(HEAD_START.as_micros())?;
        let plan = Arc::new(Plan::new(scale, begun_us)?);
        let account = Account::new(Arc::clone(&plan));
        let books = account.close();
        let stage = Arc::new(Stage {
            account,
            collector: site.collector_address,
            log: Arc::new(Log::default()),
            begun: Instant::now() + HEAD_START,
            opening: Semaphore::new(OPENING),
            stop: CancellationToken::new(),
            plan,
        });
        let mut players = JoinSet::new();
        for (number, host) in stage.plan.hosts.iter().enumerate() {
            let player = Player::new(Arc::clone(&stage), number, site.agent_identity(host.id)?);
            players.spawn(player.play());
        }
        Ok(Self {
            stage,
            players,
            labels: BTreeMap::new(),
            groups: Groups::default(),
            checks: Checks::default(),
            noticed: 0,
            books,
        })
    }

    /// Waits for the machines that come early, labels them and makes groups.
    async fn introduce(&mut self, person: &Person) -> anyhow::Result<()> {
        let plan = Arc::clone(&self.stage.plan);
        let is_late = |number: usize| plan.hosts[plan.vms[number].life[0].host].is_late();
        let early: Vec<usize> = (0..plan.vms.len()).filter(|number| !is_late(*number)).collect();
        self.known(person, early.len()).await?;
        self.label(person, &early)?;
        let picked: Vec<(usize, String)> = early
            .iter()
            .step_by(early.len() / PICKED + 1)
            .map(|number| (*number, plan.vms[*number].id.to_string()))
            .collect();
        self.groups = Groups::make(person, &picked)?;
        // Some change under the groups.
        let changed: Vec<usize> = early.iter().copied().skip(3).step_by(17).collect();
        for number in &changed {
            self.labels.entry(*number).or_default().remove("tier");
        }
        let tiered = |number: &&usize| plan.vms[**number].tier.is_some();
        let ids: Vec<String> = changed
            .iter()
            .filter(tiered)
            .map(|number| plan.vms[*number].id.to_string())
            .collect();
        unlabel(person, &ids, "tier")
    }

    /// Waits until so many machines are listed.
    async fn known(&mut self, person: &Person, count: usize) -> anyhow::Result<()> {
        let players = &mut self.players;
        eventually("machines are listed", PATIENCE, async || {
            // A session that broke is what is wrong then.
            if let Some(ended) = players.try_join_next() {
                ended??;
            }
            let answer = person.get("/api/v1/vms?page_size=1")?;
            Ok(answer["total"].as_u64() >= Some(count as u64))
        })
        .await
    }

    fn label(&mut self, person: &Person, numbers: &[usize]) -> anyhow::Result<()> {
        let mut machines = Vec::new();
        for &number in numbers {
            let vm = &self.stage.plan.vms[number];
            let mut labels = Labels::from([("env".to_owned(), vm.environment.to_owned())]);
            labels.extend(vm.tier.map(|tier| ("tier".to_owned(), tier.to_owned())));
            machines.push((vm.id.to_string(), labels.clone()));
            self.labels.insert(number, labels);
        }
        label(person, &machines)
    }

    /// Waits until nothing happens any more but samples, and the late ones are there.
    async fn wait_until_calm(&mut self, person: &Person) -> anyhow::Result<()> {
        let plan = Arc::clone(&self.stage.plan);
        let calm = self.stage.begun + Duration::from_secs(plan.calm_s().unsigned_abs());
        tokio::time::sleep_until(calm).await;
        self.known(person, plan.vms.len()).await?;
        let all = 0..plan.vms.len();
        let late: Vec<usize> = all.filter(|number| !self.labels.contains_key(number)).collect();
        self.label(person, &late)?;
        let end = self.stage.begun + Duration::from_secs(plan.scale.seconds);
        // What is asked meanwhile must not take longer than what is left of the run.
        let begin = end
            .checked_sub(Duration::from_secs(plan.scale.seconds / 10))
            .unwrap_or(end);
        tokio::time::sleep_until(begin).await;
        let log = Arc::clone(&self.stage.log);
        eventually("all that was kept is stored", PATIENCE, async || {
            Ok(log.oldest() < CURRENT)
        })
        .await?;
        let stage = Arc::clone(&self.stage);
        eventually("who is gone is silent", PATIENCE, async || {
            let now_us = wall_us()?;
            let expected = rows(&stage.account.close(), &BTreeMap::new(), now_us);
            // Who has just gone would fall silent while lists are asked for.
            let ages_s = expected.iter().map(|row| (now_us - row.last_us) / SECOND_US);
            let is_settled = ages_s.clone().all(|age_s| !FALLING_SILENT_S.contains(&age_s));
            let silent = expected.iter().filter(|row| !row.reporting).count();
            let answer = person.get("/api/v1/vms?page_size=1&reporting=false")?;
            Ok(is_settled && answer["total"].as_u64() == Some(silent as u64))
        })
        .await
    }

    /// Lists, groups, searches and counts, while samples come in.
    fn check_lists(&mut self, person: &Person) -> anyhow::Result<()> {
        let person = person.renewed()?;
        let books = self.stage.account.close();
        let rows = self.rows(&books)?;
        tokio::task::block_in_place(|| {
            let mut auditor = auditor(&person, &books, &mut self.checks);
            auditor.groups(&self.groups, &rows)?;
            auditor.lists(&rows)
        })
    }

    /// Ends the fleet when its time is over; returns how long it ran.
    async fn stop(&mut self) -> anyhow::Result<f64> {
        let end = self.stage.begun + Duration::from_secs(self.stage.plan.scale.seconds);
        tokio::time::sleep_until(end).await;
        self.stage.stop.cancel();
        while let Some(ended) = self.players.join_next().await {
            ended??;
        }
        self.books = self.stage.account.close();
        Ok(self.stage.begun.elapsed().as_secs_f64())
    }

    /// Top lists, history and exports, when nothing comes in any more.
    async fn check_history(&mut self, person: &Person) -> anyhow::Result<()> {
        let person = person.renewed()?;
        let expected = self.books.plan.vms.len() as u64;
        tokio::task::block_in_place(|| auditor(&person, &self.books, &mut self.checks).top())?;
        eventually("nobody reports", PATIENCE, async || {
            // A machine's row may be older than its newest sample.
            let is_silent = self.rows(&self.books)?.iter().all(|row| !row.reporting);
            let answer = person.get("/api/v1/vms?page_size=1&state=silent")?;
            Ok(is_silent && answer["total"].as_u64() == Some(expected))
        })
        .await?;
        let rows = self.rows(&self.books)?;
        tokio::task::block_in_place(|| {
            let mut auditor = auditor(&person, &self.books, &mut self.checks);
            auditor.groups(&self.groups, &rows)?;
            auditor.last_values(&rows)?;
            auditor.history(QUERIES)?;
            auditor.first(&self.groups, &rows)?;
            auditor.exports(&rows)?;
            auditor.hours()
        })?;
        let (books, mut ignored) = (&self.books, Checks::default());
        let waiting = auditor(&person, books, &mut ignored);
        eventually("hours are made", PATIENCE, async || waiting.are_hours_made()).await?;
        tokio::task::block_in_place(|| {
            let mut auditor = auditor(&person, &self.books, &mut self.checks);
            auditor.top_of_hours()?;
            auditor.hours()
        })
    }

    /// How much differs from an account that lacks one tick.
    fn forge(&mut self, person: &Person) -> anyhow::Result<()> {
        let person = person.renewed()?;
        let mut books = self.books.clone();
        let is_plain = |number: &usize| books.plan.vms[*number].life.len() == 1;
        let number = (0..books.plan.vms.len())
            .find(is_plain)
            .context("a machine to which nothing happens")?;
        books.forge(number);
        let mut checks = Checks::default();
        tokio::task::block_in_place(|| auditor(&person, &books, &mut checks).forged(number))?;
        self.noticed = checks.differing;
        Ok(())
    }

    fn rows(&self, books: &Books) -> anyhow::Result<Vec<Row>> {
        Ok(rows(books, &self.labels, wall_us()?))
    }

    fn outcome(self, took_s: [f64; 2]) -> Outcome {
        let (ticks, rows) = self.books.size();
        let begun = self.stage.begun;
        let mut lags = self.stage.log.lags(begun, begun + Duration::from_secs(1 << 20));
        lags.sort_by(f64::total_cmp);
        let lag = |percent: usize| {
            lags.get(lags.len() * percent / 100)
                .or(lags.last())
                .copied()
                .unwrap_or_default()
        };
        Outcome {
            ticks,
            rows,
            lag_s: [lag(50), lag(99), lag(100)],
            took_s,
            checks: self.checks,
            noticed: self.noticed,
        }
    }
}

fn auditor<'a>(person: &'a Person, books: &'a Books, checks: &'a mut Checks) -> Auditor<'a> {
    Auditor {
        random: StdRng::seed_from_u64(books.plan.scale.seed),
        person,
        books,
        checks,
    }
}
