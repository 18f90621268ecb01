//! From an agent's tick to a thousand `WebSocket` connections: how many samples a second one web server writes, and how old they are when they
//! are read.
//!
//! Agents, collector, database, web server and all clients share this machine's processors. A sample's age is counted from the
//! moment of its tick, which the agent notes in microseconds and the API tells in milliseconds.

use crate::centre::Centre;
use crate::figure::{Bar, Report, progress};
use crate::statistics::{highest, percentile};
use crate::{process, settings};
use anyhow::{Context, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vmscope_harness::centre::metric;
use vmscope_harness::live::{Live, Socket};
use vmscope_harness::simulated::{Agent, Log, Sent, wall_us};
use vmscope_harness::site::eventually;
use vmscope_harness::web::Web;
use vmscope_store::Flavor;

/// How old 99 of a hundred samples may be, at the scale that one server is made for.
const P99_BAR_MS: f64 = 500.0;
/// Virtual machines of each host.
const VMS: usize = 20;
/// Connections that are opened at the same time.
const OPENING: usize = 32;
/// How long the virtual machines may take to be known.
const KNOWN_LIMIT: Duration = Duration::from_mins(1);
/// How long samples flow before they are measured.
const SETTLE: Duration = Duration::from_secs(5);
/// How the message of a sample begins.
const SAMPLE: &str = r#"{"type":"sample""#;
/// When this share of the samples is merged, the server or the clients can't follow. A dear tick comes right behind a cheap one and
/// is often merged with it before anybody is written to: that is a sixth of all.
const SATURATED: f64 = 0.25;

/// The ages of the samples that one client has read, in milliseconds.
type Ages = Arc<Mutex<Vec<f64>>>;

/// Counters at one moment.
struct Counters {
    at: Instant,
    web: Duration,
    clients: Duration,
    machine: Duration,
    written: u64,
    conflated: u64,
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    vmscope_service::files::raise_open_files();
    let hosts = settings::number("LIVE_HOSTS", 50)?;
    let sockets = settings::number("LIVE_SOCKETS", 1_000)?;
    let time = settings::seconds("LIVE_SECONDS", 30)?;
    let steps = settings::numbers("LIVE_VMS", &[20, 50, 100, 200])?;
    let centre = Centre::start(Flavor::Timescale).await?;
    let live = Live::start(&centre.site).await?;
    let (log, stop) = (Arc::new(Log::default()), CancellationToken::new());
    let mut agents = start_agents(&centre, hosts, &log, &stop).await?;
    let vms = known_vms(&centre, hosts * VMS).await?;
    for (number, each) in steps.into_iter().enumerate() {
        progress(&format!("live: {sockets} sockets x {each} virtual machines"));
        let (name, bar) = match number {
            0 => ("live".to_owned(), Bar::AtMost(P99_BAR_MS)),
            _ => (format!("live.ramp.{each}"), Bar::None),
        };
        let watched: Vec<Vec<String>> = (0..sockets).map(|socket| some_of(&vms, socket, each)).collect();
        let share = step(report, &name, &live, &watched, time, bar).await?;
        if share > SATURATED {
            report.say("live.saturated_at", each as f64, "VMs/socket");
            break;
        }
        if let Some(ended) = agents.try_join_next() {
            ended??;
            anyhow::bail!("an agent ended by itself");
        }
    }
    stop.cancel();
    while let Some(agent) = agents.join_next().await {
        agent??;
    }
    Ok(())
}

async fn start_agents(
    centre: &Centre,
    hosts: usize,
    log: &Arc<Log>,
    stop: &CancellationToken,
) -> anyhow::Result<JoinSet<anyhow::Result<Sent>>> {
    let mut agents = JoinSet::new();
    for seed in 0..hosts {
        let agent = Agent::connect(&centre.site, seed as u64, VMS, log).await?;
        let phase = Duration::from_secs(1) * u32::try_from(seed)? / u32::try_from(hosts)?;
        agents.spawn(agent.live(phase, stop.clone()));
    }
    Ok(agents)
}

/// Virtual machines of many hosts, others for each socket.
fn some_of(vms: &[String], socket: usize, count: usize) -> Vec<String> {
    let from = socket * 7 % vms.len();
    (0..count.min(vms.len()))
        .map(|number| vms[(from + number * 3) % vms.len()].clone())
        .collect()
}

/// As the API names them, once all are known.
async fn known_vms(centre: &Centre, count: usize) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    eventually("all virtual machines are known", KNOWN_LIMIT, async || {
        let rows = centre
            .client
            .query("SELECT uuid FROM vm ORDER BY id", &[])
            .await?;
        names = rows
            .iter()
            .map(|row| format!("vm:{}", row.get::<_, Uuid>(0)))
            .collect();
        Ok(names.len() == count)
    })
    .await?;
    Ok(names)
}

/// Opens the sockets, measures, closes them; gives the share of samples that were merged.
async fn step(
    report: &mut Report,
    name: &str,
    live: &Live,
    watched: &[Vec<String>],
    time: Duration,
    bar: Bar,
) -> anyhow::Result<f64> {
    let measuring = Arc::new(AtomicBool::new(false));
    let (mut readers, mut ages) = (JoinSet::new(), Vec::new());
    for some in watched.chunks(OPENING) {
        let opening = some.iter().map(|entities| open(live, entities));
        for socket in futures_util::future::try_join_all(opening).await? {
            let own = Ages::default();
            ages.push(own.clone());
            readers.spawn(read(socket, measuring.clone(), own));
        }
    }
    tokio::time::sleep(SETTLE).await;
    let before = count(&live.web)?;
    measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(time).await;
    measuring.store(false, Ordering::Relaxed);
    let after = count(&live.web)?;
    if let Some(ended) = readers.try_join_next() {
        ended??;
    }
    let ages: Vec<f64> = ages
        .iter()
        .flat_map(|ages| std::mem::take(&mut *ages.lock().unwrap_or_else(PoisonError::into_inner)))
        .collect();
    ensure!(!ages.is_empty(), "no sample came");
    let rss_kib = live.web.daemon.rss_kib()?;
    drop(readers);
    say(report, name, (&before, &after), &ages, rss_kib, bar);
    Ok(share(&before, &after))
}

/// The part of all samples that were merged into later ones.
fn share(before: &Counters, after: &Counters) -> f64 {
    let (written, conflated) = (after.written - before.written, after.conflated - before.conflated);
    conflated as f64 / (written + conflated).max(1) as f64
}

fn say(
    report: &mut Report,
    name: &str,
    (before, after): (&Counters, &Counters),
    ages: &[f64],
    rss_kib: u64,
    bar: Bar,
) {
    let seconds = (after.at - before.at).as_secs_f64();
    let cores = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() / seconds;
    let (web, clients) = (cores(before.web, after.web), cores(before.clients, after.clients));
    report.say(
        &format!("{name}.messages_per_s"),
        ages.len() as f64 / seconds,
        "messages/s",
    );
    report.say(&format!("{name}.latency_p50"), percentile(ages, 50), "ms");
    report.hold(&format!("{name}.latency_p99"), percentile(ages, 99), "ms", bar);
    let figures = [
        ("latency_max", highest(ages), "ms"),
        ("merged", share(before, after), "ratio"),
        ("web_cores", web, "cores"),
        (
            "web_cpu_per_message",
            web * seconds / ages.len() as f64 * 1e6,
            "us",
        ),
        ("agents_and_clients_cores", clients, "cores"),
        ("machine_cores", cores(before.machine, after.machine), "cores"),
        ("web_rss", rss_kib as f64 / 1_024.0, "MiB"),
    ];
    for (figure, value, unit) in figures {
        report.say(&format!("{name}.{figure}"), value, unit);
    }
}

fn count(web: &Web) -> anyhow::Result<Counters> {
    Ok(Counters {
        at: Instant::now(),
        web: process::own_cpu(web.daemon.id())?,
        clients: process::own_cpu(std::process::id())?,
        machine: process::machine_cpu()?,
        written: metric(web.admin, "vmscope_web_live_samples_total")?,
        conflated: metric(web.admin, "vmscope_web_live_conflated_total")?,
    })
}

async fn open(live: &Live, entities: &[String]) -> anyhow::Result<Socket> {
    let mut socket = live.socket(None).await?;
    socket.subscribe(entities).await?;
    Ok(socket)
}

async fn read(mut socket: Socket, measuring: Arc<AtomicBool>, ages: Ages) -> anyhow::Result<()> {
    loop {
        let message = socket.next().await?;
        if message.starts_with(SAMPLE) && measuring.load(Ordering::Relaxed) {
            let now_ms = wall_us()? as f64 / 1e3;
            let taken_ms = time_ms(&message).with_context(|| message.clone())?;
            ages.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(now_ms - taken_ms);
        }
    }
}

/// The time of a sample, without reading all of it: the clients must not be what is measured.
fn time_ms(message: &str) -> Option<f64> {
    let (_, rest) = message.split_once("\"time\":")?;
    rest.split_once(',')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_time_of_a_sample() {
        let message = r#"{"type":"sample","entity":"vm:1","time":1700000000123,"values":{"state":1.0}}"#;
        assert!(message.starts_with(SAMPLE));
        assert_eq!(time_ms(message), Some(1_700_000_000_123.0));
    }
}
