//! What people look at, at ten thousand VMs: lists, searches, charts and top lists through the web server, and how fast hours
//! and days are made.
//!
//! One client asks one thing after the other, so a time is that of one request on a server which has nothing else to do. The
//! collector runs beside and ingests nothing. What the database alone takes for a chart is the time of the store's own function,
//! called in this process: the statements, the transfer of their rows, and making series of them.

mod charts;
mod fleet;
mod lists;
mod plans;
mod requests;
mod rollup;

use crate::centre::Centre;
use crate::figure::{Report, progress};
use crate::settings;
use fleet::Filled;
use std::time::Duration;
use vmscope_harness::live::Live;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Scale {
    hosts: u32,
    /// VMs of each host.
    vms: u32,
    /// Seconds between two samples of a VM. A day of 10,000 VMs each second would be 400 GB.
    step_s: u32,
    /// How often each thing is asked.
    requests: usize,
    /// Hosts whose hour, one sample each second, is rolled up.
    rollup_hosts: u32,
    /// Plans of statements that take longer are written to the server's log; none without it.
    plans: Option<Duration>,
}

impl Scale {
    fn from_environment() -> anyhow::Result<Self> {
        let plans_ms: u64 = settings::number("HISTORY_PLANS_MS", 0)?;
        Ok(Self {
            hosts: settings::number("HISTORY_HOSTS", 500)?,
            vms: settings::number("HISTORY_VMS", 20)?,
            step_s: settings::number("HISTORY_STEP_SECONDS", 60)?,
            requests: settings::number("HISTORY_REQUESTS", 200)?,
            rollup_hosts: settings::number("HISTORY_ROLLUP_HOSTS", 50)?,
            plans: (plans_ms > 0).then(|| Duration::from_millis(plans_ms)),
        })
    }
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let scale = Scale::from_environment()?;
    rollup::measure(report, &scale).await?;
    progress(&format!(
        "history: filling a day of {} VMs, and a week of their hours",
        scale.hosts * scale.vms
    ));
    let filled = Filled::make(&scale).await?;
    report.say("history.vms", f64::from(scale.hosts * scale.vms), "VMs");
    report.say("history.samples", filled.samples as f64, "rows");
    report.say("history.hours", filled.hours as f64, "rows");
    report.say("history.database", filled.size_bytes().await? as f64 / 1e9, "GB");
    if let Some(least) = scale.plans {
        plans::log(filled.database.url(), least).await?;
    }
    let store = filled.database.store().clone();
    let centre = Centre::over(filled.database).await?;
    let live = Live::start(&centre.site).await?;
    lists::label(&live.person, &filled.vms)?;
    // Machines have a state for as long as they are heard of.
    let now = jiff::Timestamp::now();
    let next = now.checked_add(jiff::SignedDuration::from_secs(1))?;
    vmscope_store::testing::fill(&store, &filled.hosts, (now, next), 1).await?;
    lists::measure(report, &scale, &live.person, filled.vms.len())?;
    charts::measure(report, &scale, &live.person, &filled.vms)?;
    charts::measure_store(report, &scale, &store, &filled.vms).await?;
    charts::measure_top(report, &scale, &live.person)
}
