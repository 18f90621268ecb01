//! Breaks a running pipeline at random moments and counts every sample.
//!
//! Four agents sample this host every 100 ms, each on a host of its own: a network namespace, a small disk for its buffer, and a
//! clock that can be set. Two collectors, in a namespace of theirs, store into a private PostgreSQL. Each round breaks one thing
//! ([`plan`]): bad networks and full disks last while the next rounds break others. All is decided by the seed; only what the
//! programs were doing at that moment is not. Now and then, and at the end, everything is mended and counted.
//!
//! The promise, without exception: each tick that an agent began to keep is stored once, or stands in exactly one entry of the
//! loss ledger ([`crate::account`]); and in the ledger are only ticks that a fault of this host can have taken (`witness`).

mod disk;
mod network;
mod pipeline;
mod plan;
mod round;
mod witness;

use crate::account::Verdict;
use anyhow::Context;
use pipeline::Pipeline;
pub use plan::EACH_ONCE;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Hosts that sample at the same time, so that commits follow each other closely and a kill meets one.
const AGENTS: usize = 4;
/// Collectors by name.
const COLLECTORS: [&str; 2] = ["first", "second"];
/// Rounds between two counts, so that a fault is found near its cause.
const ROUNDS_BETWEEN_COUNTS: usize = 25;
/// How many single samples a report names.
const REPORTED_FAULTS: usize = 20;

/// What the rounds did and what the count says.
#[derive(Debug)]
pub struct Outcome {
    /// Decided everything.
    pub seed: u64,
    /// How often each fault was made.
    pub made: BTreeMap<&'static str, u32>,
    /// Each round, in words.
    pub journal: Vec<String>,
    /// What made networks bad.
    pub network: String,
    /// Entries of the loss ledger by cause.
    pub ledger: String,
    /// The last comparison.
    pub verdict: Verdict,
    /// Where everything still is, when it does not hold.
    pub kept: Option<PathBuf>,
}

impl Outcome {
    /// Whether every sample is there exactly once or in exactly one entry of the ledger, and nothing is in the ledger
    /// without a reason.
    pub const fn holds(&self) -> bool {
        self.verdict.faults.is_empty() && self.verdict.ticks > 0
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
            "seed {}, {} rounds: {}\nbad networks by {}\nticks taken {ticks}, rows {rows}; of these lost and entered {}; \
             never durable, and stored or entered {}; wrong {}\nentries of the ledger: {}",
            self.seed,
            self.journal.len(),
            made.join(", "),
            self.network,
            entered.len(),
            uncertain.len(),
            faults.len(),
            self.ledger
        );
        if let Some(kept) = &self.kept {
            text.push_str("\nkept: ");
            text.push_str(&kept.display().to_string());
            let faults = faults.iter().take(REPORTED_FAULTS);
            for line in self.journal.iter().chain(faults) {
                text.push_str("\n  ");
                text.push_str(line);
            }
        }
        text
    }
}

/// Runs `rounds` rounds of faults from `seed` and compares; `tell` hears of each round when it is over. Ends early when a count in
/// between does not hold.
///
/// # Errors
/// When the pipeline can't be started, or does not work again once it is mended: a fault in itself. The text says the rounds
/// so far, and everything is kept.
pub async fn run(rounds: u32, seed: u64, tell: impl Fn(&str)) -> anyhow::Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("vmscope-faults-").tempdir()?;
    open_to_all(folder.path())?;
    let mut pipeline = Pipeline::start(folder.path()).await?;
    let mut outcome = Outcome {
        seed,
        made: BTreeMap::new(),
        journal: Vec::new(),
        network: String::new(),
        ledger: String::new(),
        verdict: Verdict::default(),
        kept: None,
    };
    let ended = go(&mut pipeline, &plan::plan(rounds, seed), &mut outcome, tell).await;
    outcome.network = pipeline.network.describe();
    if ended.is_err() || !outcome.holds() {
        let mut folder = folder;
        folder.disable_cleanup(true);
        outcome.kept = Some(pipeline.keep());
    }
    ended.with_context(|| format!("broken:\n{}", outcome.report()))?;
    Ok(outcome)
}

async fn go(
    pipeline: &mut Pipeline,
    plan: &[plan::Round],
    outcome: &mut Outcome,
    tell: impl Fn(&str),
) -> anyhow::Result<()> {
    let begun = Instant::now();
    for (number, round) in (1..).zip(plan) {
        let what = format!("{number} after {:.1} s: {round:?}", begun.elapsed().as_secs_f64());
        let done = pipeline.round(round).await;
        *outcome.made.entry(round.fault.name()).or_default() += 1;
        let line = match &done {
            Ok(more) => format!("{what} {more}"),
            Err(error) => format!("{what} {error:#}"),
        };
        tell(&line);
        outcome.journal.push(line);
        done?;
        if number % ROUNDS_BETWEEN_COUNTS == 0 && number < plan.len() {
            count(pipeline, outcome).await?;
            if !outcome.holds() {
                return Ok(());
            }
            pipeline.start_agents()?;
        }
    }
    count(pipeline, outcome).await?;
    pipeline.stop().await
}

async fn count(pipeline: &mut Pipeline, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.verdict = pipeline.settle().await?;
    outcome.ledger = pipeline.ledger().await?;
    Ok(())
}

/// The server's user must be able to pass through the folder of the test.
fn open_to_all(folder: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(
        folder,
        std::fs::Permissions::from_mode(0o755),
    )?)
}
