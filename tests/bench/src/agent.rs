//! What the agent costs at its default intervals on the guests that run: CPU for each value, and memory.

use crate::figure::{Bar, Figure};
use crate::recording::libvirt_socket;
use anyhow::Context;
use std::time::Duration;
use tokio_postgres::Client;
use vmscope_harness::site::{AgentOptions, Site, eventually};
use vmscope_model::{Kind, catalogue};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// How long the agent is watched, once it has settled.
const WATCH: Duration = Duration::from_mins(1);
/// What it may hold in memory.
const RSS_BAR_MIB: f64 = 25.0;

pub(crate) async fn measure() -> anyhow::Result<Vec<Figure>> {
    let database = Database::create(Flavor::Postgres).await?;
    let site = Site::new(database.url())?;
    let _collector = site.start_collector()?;
    let options = AgentOptions {
        libvirt_socket: libvirt_socket()?,
        ..AgentOptions::new(site.collector_address)
    };
    let agent = site.start_agent(&site.add_host()?, &options)?;
    let client = site.connect().await?;
    eventually(
        "samples of guests are stored",
        Duration::from_secs(30),
        async || {
            Ok(client
                .query_one("SELECT count(*) > 100 FROM vm_sample", &[])
                .await?
                .get(0))
        },
    )
    .await?;
    let libvirtd = libvirtd_id()?;
    let before = (cpu_us(agent.id())?, cpu_us(libvirtd)?, values(&client).await?);
    tokio::time::sleep(WATCH).await;
    let after = (cpu_us(agent.id())?, cpu_us(libvirtd)?, values(&client).await?);
    let collected = (after.2 - before.2) as f64;
    let guests: i64 = client.query_one("SELECT count(*) FROM vm", &[]).await?.get(0);
    let per_value = |cpu_us: u64| cpu_us as f64 / collected;
    let (own, caused) = (after.0 - before.0, after.1 - before.1);
    Ok(vec![
        Figure::new("agent.guests", guests as f64, "guests", Bar::None),
        Figure::new(
            "agent.values_per_s",
            collected / WATCH.as_secs_f64(),
            "values/s",
            Bar::None,
        ),
        Figure::new("agent.own_cpu_us_per_value", per_value(own), "us", Bar::None),
        Figure::new(
            "agent.libvirtd_cpu_us_per_value",
            per_value(caused),
            "us",
            Bar::None,
        ),
        Figure::new("agent.cpu_us_per_value", per_value(own + caused), "us", Bar::None),
        Figure::new(
            "agent.rss",
            agent.rss_kib()? as f64 / 1_024.0,
            "MiB",
            Bar::AtMost(RSS_BAR_MIB),
        ),
    ])
}

/// Values that are stored: cells that are not NULL.
async fn values(client: &Client) -> anyhow::Result<i64> {
    let mut total = 0;
    for kind in Kind::ALL {
        let columns: Vec<String> = catalogue::metrics(kind)
            .iter()
            .map(|metric| format!("count({})", metric.name))
            .collect();
        let text = format!("SELECT {} FROM {}_sample", columns.join(" + "), kind.name());
        total += client.query_one(&text, &[]).await?.get::<_, i64>(0);
    }
    Ok(total)
}

/// User and system time of a process, in microseconds: fields 14 and 15 of `stat`, in ticks of 10 ms.
fn cpu_us(process: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = text.rsplit_once(')').context("no command in stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .context("a short stat")?
            .parse::<u64>()
            .context("ticks")
    };
    Ok((ticks(11)? + ticks(12)?) * 10_000)
}

/// The libvirtd of `packaging/dev/guests`.
fn libvirtd_id() -> anyhow::Result<u32> {
    let state =
        std::env::var("VMSCOPE_TEST_GUESTS").context("no VMSCOPE_TEST_GUESTS: read .dev/guests.env")?;
    let text = std::fs::read_to_string(format!("{state}/libvirtd.pid"))?;
    text.trim().parse().context("libvirtd.pid")
}
