//! A thousand hosts against one collector, first for ten minutes, then more and more of them until something gives way.
//!
//! Simulator, collector and database share this machine's processors: what the simulator takes is not there for the others.

mod agents;
mod load;

use crate::figure::{Bar, Report, progress};
use crate::settings;
use agents::Agents;
use load::Load;
use std::time::Duration;

/// By how much half of the ticks may be older in the last third than in the first.
const GROWTH_BAR_S: f64 = 0.1;
/// How old a tick may be at the end.
const OLDEST_BAR_S: f64 = 3.0;
/// The same within a step of the ramp, which is too short for a finer look.
const STEP_GROWTH_S: f64 = 0.5;
/// How long agents send before they are measured.
const SETTLE: Duration = Duration::from_secs(10);
/// The ramp's numbers of agents.
const RAMP: [usize; 8] = [250, 500, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000];

struct Scale {
    agents: usize,
    vms: usize,
    sustained: Duration,
    ramp: Vec<usize>,
    step: Duration,
}

impl Scale {
    /// With `short`, as one group of many, the sustained part takes two minutes.
    fn from_environment(short: bool) -> anyhow::Result<Self> {
        Ok(Self {
            agents: settings::number("FLEET_AGENTS", 1_000)?,
            vms: settings::number("FLEET_VMS", 20)?,
            sustained: settings::seconds("FLEET_SECONDS", if short { 120 } else { 600 })?,
            ramp: settings::numbers("FLEET_RAMP", &RAMP)?,
            step: settings::seconds("FLEET_STEP_SECONDS", if short { 20 } else { 60 })?,
        })
    }
}

pub(crate) async fn measure(report: &mut Report, short: bool) -> anyhow::Result<()> {
    let scale = Scale::from_environment(short)?;
    sustain(report, &scale).await?;
    ramp(report, &scale).await
}

async fn sustain(report: &mut Report, scale: &Scale) -> anyhow::Result<()> {
    let mut agents = Agents::start(scale.vms).await?;
    let empty = agents.collector_memory()?.rss_kib;
    agents.grow_to(scale.agents).await?;
    tokio::time::sleep(SETTLE).await;
    progress(&format!("fleet: {} agents", scale.agents));
    let load = agents.observe(scale.sustained).await?;
    report.say("fleet.agents", scale.agents as f64, "agents");
    report.say("fleet.seconds", load.seconds, "s");
    say_load(report, "fleet", &load);
    let per_host = load.collector_rss_kib.saturating_sub(empty) as f64 / scale.agents as f64;
    report.say("fleet.collector_rss_per_host", per_host, "KiB");
    report.say("fleet.collector_cpu_per_row", load.collector_us_per_row(), "us");
    report.say("fleet.lag_max", load.lag_max, "s");
    report.say("fleet.lag_p50_first_third", load.lag_p50_first_third, "s");
    report.say("fleet.lag_p50_last_third", load.lag_p50_last_third, "s");
    report.hold("fleet.lag_growth", load.growth(), "s", Bar::AtMost(GROWTH_BAR_S));
    report.hold(
        "fleet.oldest_unacknowledged",
        load.oldest,
        "s",
        Bar::AtMost(OLDEST_BAR_S),
    );
    let missing = agents.stop().await?;
    report.hold(
        "fleet.rows_lost_or_doubled",
        missing as f64,
        "rows",
        Bar::AtMost(0.0),
    );
    Ok(())
}

/// More agents at each step, until ticks get old.
async fn ramp(report: &mut Report, scale: &Scale) -> anyhow::Result<()> {
    let mut agents = Agents::start(scale.vms).await?;
    for &number in &scale.ramp {
        progress(&format!("fleet: ramp, {number} agents"));
        let load = async {
            agents.grow_to(number).await?;
            tokio::time::sleep(SETTLE).await;
            agents.observe(scale.step).await
        };
        let load = match load.await {
            Ok(load) => load,
            // Sessions that are lost or can't be had are a way to give way, too.
            Err(error) => {
                progress(&format!("fleet: {number} agents can't be kept: {error:#}"));
                report.say("fleet.saturated_at", number as f64, "agents");
                return Ok(());
            }
        };
        let name = format!("fleet.ramp.{number}");
        say_load(report, &name, &load);
        report.say(&format!("{name}.oldest_unacknowledged"), load.oldest, "s");
        if load.oldest > OLDEST_BAR_S || load.growth() > STEP_GROWTH_S {
            report.say("fleet.saturated_at", number as f64, "agents");
            break;
        }
    }
    Ok(())
}

fn say_load(report: &mut Report, name: &str, load: &Load) {
    let figures = [
        ("rows_per_s", load.rows_per_s, "rows/s"),
        ("ticks_per_s", load.ticks_per_s, "ticks/s"),
        ("lag_p50", load.lag_p50, "s"),
        ("lag_p99", load.lag_p99, "s"),
        ("simulator_late_p99", load.late_p99, "s"),
        ("collector_cores", load.collector_cores, "cores"),
        ("database_cores", load.database_cores, "cores"),
        ("simulator_cores", load.simulator_cores, "cores"),
        ("other_cores", load.other_cores, "cores"),
        ("collector_rss", load.collector_rss_kib as f64 / 1_024.0, "MiB"),
        ("commit_mean", load.commit_mean_ms, "ms"),
        ("commits_per_s", load.commits_per_s, "commits/s"),
        ("queue_max", load.queue_max, "frames"),
        ("rows_in_flight_max", load.rows_in_flight_max, "rows"),
    ];
    for (figure, value, unit) in figures {
        report.say(&format!("{name}.{figure}"), value, unit);
    }
}
