//! What vmscope's agent costs for each value, beside the collectors that people use today, on the same guests in one run.
//!
//! In each round every collector runs alone for the same time, and libvirtd for once with nobody who asks it. A
//! collector's cost is the CPU time of its own processes and what libvirtd uses beyond that idle round. Whatever receives
//! the values is this program and counts on nobody's side.

mod contenders;
mod count;
mod receivers;

use crate::figure::{Bar, Report, progress};
use crate::process::{self, Memory};
use crate::settings;
use crate::statistics::{highest, lowest, median};
use anyhow::{Context, ensure};
use contenders::{Contender, Ground};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use vmscope_harness::guests::Guests;

/// What the agent may hold in memory.
const RSS_BAR_MIB: f64 = 25.0;
/// What the agent may use of the CPU for each value, in shares of what the best of the others uses.
const SHARE_BAR: f64 = 1.0;

struct Scale {
    guests: usize,
    rounds: usize,
    /// How long a collector runs before it is measured.
    settle: Duration,
    /// How long it is measured.
    watch: Duration,
}

/// What one collector, or nobody, cost in one round.
#[derive(Debug, Default)]
struct Cost {
    own_us_per_s: f64,
    libvirtd_us_per_s: f64,
    host_values_per_s: f64,
    vm_values_per_s: f64,
    memory: Memory,
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let scale = Scale {
        guests: settings::number("AGENT_GUESTS", 50)?,
        rounds: settings::number("AGENT_ROUNDS", 3)?,
        settle: settings::seconds("AGENT_SETTLE_SECONDS", 10)?,
        watch: settings::seconds("AGENT_SECONDS", 40)?,
    };
    let ground = Ground::find(Guests::running(scale.guests)?)?;
    say_versions(&ground)?;
    report.say("agent.guests", ground.guests.names()?.len() as f64, "guests");
    let mut idle = Vec::new();
    let mut costs: Vec<(Contender, Vec<Cost>)> = Contender::ALL.map(|one| (one, Vec::new())).into();
    for round in 1..=scale.rounds {
        progress(&format!("agent: round {round}, nobody"));
        idle.push(watch_nobody(&ground, scale.watch).await?);
        for (contender, costs) in &mut costs {
            progress(&format!("agent: round {round}, {}", contender.name()));
            costs.push(watch(*contender, &ground, &scale).await?);
        }
    }
    let idle = median(&idle);
    report.say("agent.libvirtd_idle_cpu", idle / 1_000.0, "ms/s");
    let per_value: Vec<f64> = costs
        .iter()
        .map(|(contender, costs)| say_costs(report, contender.name(), costs, idle))
        .collect();
    say_shares(report, &per_value);
    Ok(())
}

/// CPU time in microseconds a second that libvirtd uses when nobody asks.
async fn watch_nobody(ground: &Ground, time: Duration) -> anyhow::Result<f64> {
    let (begun, before) = (Instant::now(), process::tree_cpu(ground.libvirtd)?);
    sleep(time).await;
    let used = process::tree_cpu(ground.libvirtd)?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / begun.elapsed().as_secs_f64())
}

/// Starts a collector, lets it settle, measures it and ends it.
async fn watch(contender: Contender, ground: &Ground, scale: &Scale) -> anyhow::Result<Cost> {
    let mut running = contender.start(ground).await?;
    running.wait_for_guests(scale.guests).await?;
    sleep(scale.settle).await;
    let (begun, mark) = (Instant::now(), running.mark());
    let before = (running.cpu()?, process::tree_cpu(ground.libvirtd)?);
    sleep(scale.watch).await;
    let after = (running.cpu()?, process::tree_cpu(ground.libvirtd)?);
    let seconds = begun.elapsed().as_secs_f64();
    let memory = running.memory()?;
    let values = running.values_since(mark, seconds).await?;
    running.stop()?;
    ensure!(values.vm > 0, "{} collected nothing of guests", contender.name());
    let us_per_s =
        |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() * 1e6 / seconds;
    Ok(Cost {
        own_us_per_s: us_per_s(before.0, after.0),
        libvirtd_us_per_s: us_per_s(before.1, after.1),
        host_values_per_s: values.host as f64 / seconds,
        vm_values_per_s: values.vm as f64 / seconds,
        memory,
    })
}

/// Prints the medians of all rounds; returns the CPU time for each value.
fn say_costs(report: &mut Report, name: &str, costs: &[Cost], idle_us_per_s: f64) -> f64 {
    let all = |of: &dyn Fn(&Cost) -> f64| costs.iter().map(of).collect::<Vec<f64>>();
    let values = |cost: &Cost| cost.host_values_per_s + cost.vm_values_per_s;
    let caused = |cost: &Cost| (cost.libvirtd_us_per_s - idle_us_per_s).max(0.0);
    let total = all(&|cost| (cost.own_us_per_s + caused(cost)) / values(cost));
    let rss = median(&all(&|cost| cost.memory.rss_kib as f64 / 1_024.0));
    let rss_bar = if name == Contender::Vmscope.name() {
        Bar::AtMost(RSS_BAR_MIB)
    } else {
        Bar::None
    };
    let figures = [
        ("cpu_us_per_value", median(&total), "us"),
        ("cpu_us_per_value_lowest", lowest(&total), "us"),
        ("cpu_us_per_value_highest", highest(&total), "us"),
        (
            "own_cpu_us_per_value",
            median(&all(&|cost| cost.own_us_per_s / values(cost))),
            "us",
        ),
        (
            "libvirtd_cpu_us_per_value",
            median(&all(&|cost| caused(cost) / values(cost))),
            "us",
        ),
        (
            "cpu",
            median(&all(&|cost| (cost.own_us_per_s + caused(cost)) / 1_000.0)),
            "ms/s",
        ),
        (
            "host_values_per_s",
            median(&all(&|cost| cost.host_values_per_s)),
            "values/s",
        ),
        (
            "vm_values_per_s",
            median(&all(&|cost| cost.vm_values_per_s)),
            "values/s",
        ),
        (
            "pss",
            median(&all(&|cost| cost.memory.pss_kib as f64 / 1_024.0)),
            "MiB",
        ),
    ];
    for (figure, value, unit) in figures {
        report.say(&format!("agent.{name}.{figure}"), value, unit);
    }
    report.hold(&format!("agent.{name}.rss"), rss, "MiB", rss_bar);
    median(&total)
}

/// The agent's CPU time for each value in shares of each other's; the first of `per_value` is the agent's.
fn say_shares(report: &mut Report, per_value: &[f64]) {
    let Some((own, others)) = per_value.split_first() else {
        return;
    };
    for (contender, other) in Contender::ALL.iter().skip(1).zip(others) {
        report.say(
            &format!("agent.share_of_{}", contender.name()),
            own / other,
            "ratio",
        );
    }
    let share = own / lowest(others);
    report.hold("agent.share_of_best_peer", share, "ratio", Bar::AtMost(SHARE_BAR));
}

fn say_versions(ground: &Ground) -> anyhow::Result<()> {
    progress(&format!("agent: vmscope-agent {}", env!("CARGO_PKG_VERSION")));
    for line in ground.peers(&["versions"])?.lines() {
        progress(&format!("agent: {line}"));
    }
    Ok(())
}

/// The process id in a file.
fn process_id(file: &Path) -> anyhow::Result<u32> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    text.trim().parse().with_context(|| format!("{}", file.display()))
}
