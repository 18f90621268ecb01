//! From QUIC frames to committed rows, against `psql \copy ... binary` of the same rows into the same table.

use crate::figure::{Bar, Figure, median};
use crate::series;
use anyhow::{Context, ensure};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use uuid::Uuid;
use vmscope_harness::site::{Site, eventually};
use vmscope_link::Dialer;
use vmscope_model::wire::{self, Frame, FrameEncoder, Message};
use vmscope_model::{HostId, Position, Record};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

const HOSTS: usize = 20;
const VMS: usize = 15;
const TICKS: u32 = 1_000;
/// 20 hosts x 15 VMs x 1,000 ticks.
const ROWS: u32 = 300_000;
/// Ticks in one frame: what an agent sends when it has a backlog.
const TICKS_PER_FRAME: usize = 50;
/// How often both ways are measured, in turn.
const RUNS: usize = 5;
/// The share of `\copy`'s rate to reach.
const BAR: f64 = 0.8;

/// Everything that one simulated agent is going to send, coded in advance.
struct Backlog {
    host: HostId,
    frames: Vec<Frame>,
    last: Position,
}

pub(crate) async fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (flavor, name) in [
        (Flavor::Postgres, "postgresql"),
        (Flavor::Timescale, "timescaledb"),
    ] {
        figures.extend(measure_on(flavor, name).await?);
    }
    Ok(figures)
}

async fn measure_on(flavor: Flavor, name: &str) -> anyhow::Result<Vec<Figure>> {
    let database = Database::create(flavor).await?;
    let site = Site::new(database.url())?;
    let _collector = site.start_collector()?;
    let client = site.connect().await?;
    eventually(
        "the collector has made its tables",
        Duration::from_secs(30),
        async || {
            Ok(client
                .query_one("SELECT to_regclass('vm_sample') IS NOT NULL", &[])
                .await?
                .get(0))
        },
    )
    .await?;
    let (mut ingest_s, mut copy_s) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        client.batch_execute("TRUNCATE vm_sample").await?;
        let backlogs = backlogs()?;
        ingest_s.push(send_all(&site, backlogs).await?.as_secs_f64());
        ensure!(count(&client).await? == i64::from(ROWS), "not every row arrived");
        let file = site.path("rows.bin");
        copy_out(&site.database_url, &file)?;
        client.batch_execute("TRUNCATE vm_sample").await?;
        copy_s.push(copy_in(&site.database_url, &file)?.as_secs_f64());
        ensure!(
            count(&client).await? == i64::from(ROWS),
            "not every row was copied"
        );
    }
    let ratios: Vec<f64> = copy_s
        .iter()
        .zip(&ingest_s)
        .map(|(copy, ingest)| copy / ingest)
        .collect();
    let rate = |seconds: &[f64]| f64::from(ROWS) / median(seconds);
    Ok(vec![
        Figure::new(
            format!("ingest.{name}.rows_per_s"),
            rate(&ingest_s),
            "rows/s",
            Bar::None,
        ),
        Figure::new(
            format!("ingest.{name}.psql_copy_rows_per_s"),
            rate(&copy_s),
            "rows/s",
            Bar::None,
        ),
        Figure::new(
            format!("ingest.{name}.share_of_psql_copy"),
            median(&ratios),
            "ratio",
            Bar::AtLeast(BAR),
        ),
        Figure::new(
            format!("ingest.{name}.share_lowest_run"),
            low(&ratios),
            "ratio",
            Bar::None,
        ),
    ])
}

fn low(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// New hosts for each run, so that no progress mark of an earlier one stands in the way.
fn backlogs() -> anyhow::Result<Vec<Backlog>> {
    let start_us = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_micros(),
    )? - i64::from(TICKS) * 1_000_000;
    (0..HOSTS as u64)
        .map(|number| backlog(number, start_us))
        .collect()
}

fn backlog(number: u64, start_us: i64) -> anyhow::Result<Backlog> {
    let host = HostId(Uuid::new_v4());
    let mut encoder = FrameEncoder::new(host);
    let records: Vec<(Position, Record)> = (1..)
        .map(|sequence| Position { epoch: 1, sequence })
        .zip(series::records(number, VMS, TICKS as usize, start_us))
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
            sequence: u64::from(TICKS),
        },
    })
}

/// From the first frame sent to the last acknowledgement received; sessions are open before the clock starts.
async fn send_all(site: &Site, backlogs: Vec<Backlog>) -> anyhow::Result<Duration> {
    let mut sessions = Vec::new();
    for backlog in backlogs {
        let dialer = Dialer::new(&site.agent_identity(backlog.host)?)?;
        sessions.push((open(&dialer, site.collector_address).await?, dialer, backlog));
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

async fn open(dialer: &Dialer, address: SocketAddr) -> anyhow::Result<vmscope_link::Session> {
    let mut session = dialer.connect(address).await?;
    let hello = Message::Hello {
        software: "bench".to_owned(),
        clock_us: 0,
        columns: wire::columns(),
    };
    session.sender.send(&hello).await?;
    match session.receiver.recv().await? {
        Some(Message::Welcome { .. }) => Ok(session),
        other => anyhow::bail!("the collector answered {other:?}"),
    }
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

async fn count(client: &Client) -> anyhow::Result<i64> {
    Ok(client
        .query_one("SELECT count(*) FROM vm_sample", &[])
        .await?
        .get(0))
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
