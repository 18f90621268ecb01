//! From QUIC frames to committed rows, against `psql \copy ... binary` of the same rows into the same table.

use crate::centre::Centre;
use crate::figure::{Bar, Report};
use crate::settings;
use crate::statistics::{lowest, median};
use anyhow::{Context, ensure};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use uuid::Uuid;
use vmscope_harness::simulated::{self, series};
use vmscope_harness::site::Site;
use vmscope_link::Dialer;
use vmscope_model::wire::{Frame, FrameEncoder, Message};
use vmscope_model::{HostId, Position, Record};
use vmscope_store::Flavor;

const HOSTS: u32 = 20;
const VMS: u32 = 15;
/// Ticks in one frame: what an agent sends when it has a backlog.
const TICKS_PER_FRAME: usize = 50;
/// The share of `\copy`'s rate to reach.
const BAR: f64 = 0.8;

/// Everything that one simulated agent is going to send, coded in advance.
struct Backlog {
    host: HostId,
    frames: Vec<Frame>,
    last: Position,
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    // 20 hosts x 15 VMs x 1,000 ticks.
    let ticks = settings::number("INGEST_TICKS", 1_000)?;
    // How often both ways are measured, in turn.
    let runs = settings::number("INGEST_RUNS", 5)?;
    for (flavor, name) in [
        (Flavor::Postgres, "postgresql"),
        (Flavor::Timescale, "timescaledb"),
    ] {
        let centre = Centre::start(flavor).await?;
        let (mut ingest_s, mut copy_s) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            ingest_s.push(ingest(&centre, ticks).await?.as_secs_f64());
            copy_s.push(copy(&centre, ticks).await?.as_secs_f64());
        }
        say(report, &format!("ingest.{name}"), rows(ticks), &ingest_s, &copy_s);
    }
    Ok(())
}

const fn rows(ticks: u32) -> u32 {
    HOSTS * VMS * ticks
}

/// How long the simulated hosts' backlogs take from the first frame to the last commit.
async fn ingest(centre: &Centre, ticks: u32) -> anyhow::Result<Duration> {
    centre.client.batch_execute("TRUNCATE vm_sample").await?;
    let took = send_all(&centre.site, backlogs(ticks)?).await?;
    ensure!(
        centre.vm_rows().await? == u64::from(rows(ticks)),
        "not every row arrived"
    );
    Ok(took)
}

/// How long `\copy` takes for the same rows into the same table.
async fn copy(centre: &Centre, ticks: u32) -> anyhow::Result<Duration> {
    let file = centre.site.path("rows.bin");
    copy_out(&centre.site.database_url, &file)?;
    centre.client.batch_execute("TRUNCATE vm_sample").await?;
    let took = copy_in(&centre.site.database_url, &file)?;
    ensure!(
        centre.vm_rows().await? == u64::from(rows(ticks)),
        "not every row was copied"
    );
    Ok(took)
}

fn say(report: &mut Report, name: &str, rows: u32, ingest_s: &[f64], copy_s: &[f64]) {
    let ratios: Vec<f64> = copy_s
        .iter()
        .zip(ingest_s)
        .map(|(copy, ingest)| copy / ingest)
        .collect();
    let rate = |seconds: &[f64]| f64::from(rows) / median(seconds);
    report.say(&format!("{name}.rows_per_s"), rate(ingest_s), "rows/s");
    report.say(&format!("{name}.psql_copy_rows_per_s"), rate(copy_s), "rows/s");
    let share = format!("{name}.share_of_psql_copy");
    report.hold(&share, median(&ratios), "ratio", Bar::AtLeast(BAR));
    report.say(&format!("{name}.share_lowest_run"), lowest(&ratios), "ratio");
}

/// New hosts for each run, so that no progress mark of an earlier one stands in the way.
fn backlogs(ticks: u32) -> anyhow::Result<Vec<Backlog>> {
    let start_us = simulated::wall_us()? - i64::from(ticks) * series::INTERVAL_US;
    (0..u64::from(HOSTS))
        .map(|number| backlog(number, ticks, start_us))
        .collect()
}

fn backlog(number: u64, ticks: u32, start_us: i64) -> anyhow::Result<Backlog> {
    let host = HostId(Uuid::new_v4());
    let mut encoder = FrameEncoder::new(host);
    let records: Vec<(Position, Record)> = (1..)
        .map(|sequence| Position { epoch: 1, sequence })
        .zip(series::full_rows(number, VMS as usize, ticks as usize, start_us))
        .collect();
    let frames = records
        .chunks(TICKS_PER_FRAME)
        .map(|some| encoder.encode(some))
        .collect::<Result<_, _>>()?;
    Ok(Backlog {
        host,
        frames,
        last: Position {
            epoch: 1,
            sequence: u64::from(ticks),
        },
    })
}

/// From the first frame sent to the last acknowledgement received; sessions are open before the clock starts.
async fn send_all(site: &Site, backlogs: Vec<Backlog>) -> anyhow::Result<Duration> {
    let mut sessions = Vec::new();
    for backlog in backlogs {
        let dialer = Dialer::new(&site.agent_identity(backlog.host)?)?;
        let session = simulated::open(&dialer, site.collector_address).await?;
        sessions.push((session, dialer, backlog));
    }
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (session, dialer, backlog) in sessions {
        tasks.spawn(send(session, dialer, backlog));
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(started.elapsed())
}

async fn send(session: vmscope_link::Session, _dialer: Dialer, backlog: Backlog) -> anyhow::Result<()> {
    let vmscope_link::Session {
        mut sender,
        mut receiver,
        ..
    } = session;
    let sending = async {
        for frame in backlog.frames {
            sender.send(&Message::Frame(frame)).await?;
        }
        anyhow::Ok(())
    };
    let receiving = async {
        loop {
            match receiver
                .recv()
                .await?
                .context("the collector closed the session")?
            {
                Message::Ack(position) if position >= backlog.last => return anyhow::Ok(()),
                Message::Ack(_) => {}
                other => anyhow::bail!("the collector said {other:?}"),
            }
        }
    };
    tokio::try_join!(sending, receiving).map(|_| ())
}

fn copy_out(url: &str, file: &Path) -> anyhow::Result<()> {
    psql(
        url,
        &format!(
            "\\copy (SELECT * FROM vm_sample ORDER BY entity_id, time) TO '{}' (FORMAT binary)",
            file.display()
        ),
    )
}

fn copy_in(url: &str, file: &Path) -> anyhow::Result<Duration> {
    let started = Instant::now();
    psql(
        url,
        &format!("\\copy vm_sample FROM '{}' (FORMAT binary)", file.display()),
    )?;
    Ok(started.elapsed())
}

fn psql(url: &str, command: &str) -> anyhow::Result<()> {
    let output = Command::new("psql")
        .args([url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command])
        .output()?;
    ensure!(
        output.status.success(),
        "psql: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
