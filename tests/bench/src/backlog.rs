//! Whether a host that returns with a day of backlog delays the live ticks of the others, and how fast it catches up.

use crate::centre::Centre;
use crate::figure::{Bar, Report, progress};
use crate::settings;
use crate::statistics::{highest, percentile};
use anyhow::ensure;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use vmscope_harness::simulated::{Agent, Log, Sent};
use vmscope_store::Flavor;

/// How old a live tick may get.
const LAG_BAR_S: f64 = 3.0;
/// Seconds of samples that are stored in one second while the backlog drains.
const SPEED_BAR: f64 = 20.0;
/// How long live agents send before anything is measured.
const SETTLE: Duration = Duration::from_secs(5);

struct Scale {
    live_agents: u32,
    vms: usize,
    backlog_s: u64,
    /// How long the live agents are measured alone.
    alone: Duration,
    /// How long the backlog may drain.
    limit: Duration,
}

impl Scale {
    fn from_environment() -> anyhow::Result<Self> {
        Ok(Self {
            live_agents: settings::number("BACKLOG_AGENTS", 20)?,
            vms: settings::number("BACKLOG_VMS", 20)?,
            backlog_s: settings::number("BACKLOG_HOURS", 24_u64)? * 3_600,
            alone: settings::seconds("BACKLOG_ALONE_SECONDS", 20)?,
            limit: settings::seconds("BACKLOG_SECONDS", 180)?,
        })
    }
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let scale = Scale::from_environment()?;
    let centre = Centre::start(Flavor::Timescale).await?;
    let stop = CancellationToken::new();
    let log = Arc::new(Log::default());
    let mut live = start_live(&centre, &scale, &log, &stop).await?;
    sleep(SETTLE).await;
    progress("backlog: live agents alone");
    let alone = Instant::now();
    sleep(scale.alone).await;
    let begun = Instant::now();
    progress("backlog: a day comes in beside them");
    let drained = drain(&centre, &scale).await?;
    let ended = Instant::now();
    say_lag(
        report,
        "backlog.live_lag_alone",
        &log.lags(alone, begun),
        Bar::None,
    );
    let beside = log.lags(begun, ended);
    ensure!(
        !beside.is_empty(),
        "no live tick was acknowledged while the backlog drained"
    );
    say_lag(report, "backlog.live_lag", &beside, Bar::AtMost(LAG_BAR_S));
    say_speed(report, drained, ended - begun);
    stop.cancel();
    let mut expected = drained.vm_rows;
    while let Some(sent) = live.join_next().await {
        expected += sent??.vm_rows;
    }
    let missing = expected.abs_diff(centre.vm_rows().await?);
    report.hold(
        "backlog.rows_lost_or_doubled",
        missing as f64,
        "rows",
        Bar::AtMost(0.0),
    );
    Ok(())
}

/// Starts the live agents, spread over the second.
async fn start_live(
    centre: &Centre,
    scale: &Scale,
    log: &Arc<Log>,
    stop: &CancellationToken,
) -> anyhow::Result<JoinSet<anyhow::Result<Sent>>> {
    let mut live = JoinSet::new();
    for number in 0..scale.live_agents {
        let agent = Agent::connect(&centre.site, u64::from(number), scale.vms, log).await?;
        let phase = Duration::from_secs(1) * number / scale.live_agents;
        live.spawn(agent.live(phase, stop.clone()));
    }
    Ok(live)
}

/// Sends a backlog to its end or for as long as it may take; returns when all that was sent is acknowledged.
async fn drain(centre: &Centre, scale: &Scale) -> anyhow::Result<Sent> {
    let seed = u64::from(scale.live_agents);
    let agent = Agent::connect(&centre.site, seed, scale.vms, &Arc::default()).await?;
    agent.drain(scale.backlog_s, Instant::now() + scale.limit).await
}

fn say_lag(report: &mut Report, name: &str, lags: &[f64], bar: Bar) {
    report.say(&format!("{name}_p50"), percentile(lags, 50), "s");
    report.say(&format!("{name}_p99"), percentile(lags, 99), "s");
    report.hold(&format!("{name}_max"), highest(lags), "s", bar);
}

fn say_speed(report: &mut Report, drained: Sent, took: Duration) {
    let took_s = took.as_secs_f64();
    report.say("backlog.drained", drained.seconds as f64 / 3_600.0, "hours");
    report.say("backlog.seconds", took_s, "s");
    report.say("backlog.vm_rows_per_s", drained.vm_rows as f64 / took_s, "rows/s");
    let speed = drained.seconds as f64 / took_s;
    report.hold("backlog.times_real_time", speed, "ratio", Bar::AtLeast(SPEED_BAR));
}
