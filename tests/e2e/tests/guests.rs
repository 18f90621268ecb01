//! Real guests, the real agent and collector, both kinds of database.
//!
//! These tests share the guests and some of them hurt them, so they take turns.

use anyhow::Context;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::Client;
use vmscope_harness::daemon::Daemon;
use vmscope_harness::guests::Guests;
use vmscope_harness::site::{AgentOptions, Site, eventually};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// One at a time.
static TURN: Mutex<()> = Mutex::const_new(());
/// How long anything may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long what does not change by itself may take: libvirt is asked for it once a minute.
const RARE: Duration = Duration::from_secs(100);
/// How many guests `make test` starts.
const GUESTS: usize = 11;

/// A pipeline over one database.
struct Pipeline {
    client: Client,
    agent: Daemon,
    _collector: Daemon,
    _site: Site,
    _database: Database,
}

impl Pipeline {
    async fn start(flavor: Flavor, libvirt_socket: PathBuf) -> anyhow::Result<Self> {
        let database = Database::create(flavor).await?;
        let site = Site::new(database.url())?;
        let collector = site.start_collector()?;
        let options = AgentOptions {
            libvirt_socket,
            ..AgentOptions::new(site.collector_address)
        };
        let agent = site.start_agent(&site.add_host()?, &options)?;
        let client = site.connect().await?;
        eventually("host samples are stored", PATIENCE, async || {
            Ok(client
                .query_one("SELECT count(*) > 2 FROM host_sample", &[])
                .await?
                .get(0))
        })
        .await?;
        Ok(Self {
            client,
            agent,
            _collector: collector,
            _site: site,
            _database: database,
        })
    }

    /// The newest value of a column of a VM, and its time in microseconds.
    async fn newest(&self, name: &str, column: &str, after_us: i64) -> anyhow::Result<Option<(i64, i64)>> {
        let text = format!(
            "SELECT s.{column}::bigint, (extract(epoch FROM s.time) * 1000000)::bigint FROM vm_sample s
             JOIN vm ON vm.id = s.entity_id
             WHERE vm.name = $1 AND s.{column} IS NOT NULL AND extract(epoch FROM s.time) * 1000000 > $2::bigint
             ORDER BY s.time DESC LIMIT 1"
        );
        let row = self.client.query_opt(&text, &[&name, &after_us]).await?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }

    /// The first value of a column that was sampled after now.
    async fn next(&self, name: &str, column: &str) -> anyhow::Result<i64> {
        self.after(name, column, now_us()?, PATIENCE).await
    }

    /// The newest value of a column that was sampled after a moment.
    async fn after(
        &self,
        name: &str,
        column: &str,
        after_us: i64,
        patience: Duration,
    ) -> anyhow::Result<i64> {
        let mut value = None;
        eventually(&format!("{column} of {name}"), patience, async || {
            value = self.newest(name, column, after_us).await?;
            Ok(value.is_some())
        })
        .await?;
        Ok(value.context("a value")?.0)
    }
}

fn now_us() -> anyhow::Result<i64> {
    Ok(i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_micros(),
    )?)
}

/// Counters that a running guest moves: column, fields of `virsh domstats --raw` that add up to it.
const MOVING: [(&str, &[&str]); 9] = [
    ("cpu_time_ns", &["cpu.time"]),
    ("cpu_user_ns", &["cpu.user"]),
    ("vcpu_time_ns", &["vcpu.0.time", "vcpu.1.time"]),
    ("vcpu_delay_ns", &["vcpu.0.delay", "vcpu.1.delay"]),
    ("net_rx_bytes", &["net.0.rx.bytes"]),
    ("net_rx_packets", &["net.0.rx.pkts"]),
    ("net_tx_bytes", &["net.0.tx.bytes"]),
    ("disk_write_requests", &["block.0.wr.reqs"]),
    ("disk_read_bytes", &["block.0.rd.bytes"]),
];
/// What libvirt leaves over when it rounds a processor's time to the kernel's ticks, for each processor.
const TICK_NS: i64 = 10_000_000;

/// What stands still while a guest is suspended, with the factor to the unit of the column.
const STILL: [(&str, &str, i64); 10] = [
    ("disk_read_requests", "block.0.rd.reqs", 1),
    ("disk_read_bytes", "block.0.rd.bytes", 1),
    ("disk_read_ns", "block.0.rd.times", 1),
    ("disk_write_requests", "block.0.wr.reqs", 1),
    ("disk_write_bytes", "block.0.wr.bytes", 1),
    ("disk_write_ns", "block.0.wr.times", 1),
    ("disk_capacity_bytes", "block.0.capacity", 1),
    ("memory_current_bytes", "balloon.current", 1_024),
    ("memory_maximum_bytes", "balloon.maximum", 1_024),
    ("vcpu_current", "vcpu.current", 1),
];

async fn counters_equal_domstats(flavor: Flavor) -> anyhow::Result<()> {
    let _turn = TURN.lock().await;
    let guests = Guests::running(GUESTS)?;
    let pipeline = Pipeline::start(flavor, guests.socket.clone()).await?;
    let name = "vmscope-demo-2";
    for (column, fields) in MOVING {
        let said = || -> anyhow::Result<i64> {
            let statistics = guests.statistics(name)?;
            Ok(fields.iter().map(|field| statistics[*field]).sum())
        };
        let least = said()?;
        let stored = pipeline.next(name, column).await?;
        let mut most = least;
        // Some move once a second, and a sample may come sooner. One that stands still would prove nothing.
        eventually(&format!("{column} moves"), PATIENCE, async || {
            most = said()?;
            Ok(most > least)
        })
        .await?;
        // Of processors libvirt tells whole ticks, we what the kernel has counted.
        let rounded = if column == "vcpu_time_ns" { 2 * TICK_NS } else { 0 };
        assert!(
            (least..=most + rounded).contains(&stored),
            "{column}: {stored} is not from {least} to {most}"
        );
    }
    compare_process(&pipeline, &guests, name).await?;
    guests.virsh(&["suspend", name])?;
    let compared = compare_still(&pipeline, &guests, name).await;
    guests.virsh(&["resume", name])?;
    compared
}

/// What libvirt does not tell of a guest's process.
async fn compare_process(pipeline: &Pipeline, guests: &Guests, name: &str) -> anyhow::Result<()> {
    let path = format!("/proc/{}/stat", guests.process(name)?.as_raw_nonzero());
    // Fields of stat: see proc(5); the first behind the name is the third.
    let field = |number: usize| -> anyhow::Result<i64> {
        let text = std::fs::read_to_string(&path)?;
        let (_, fields) = text.rsplit_once(')').context("a name")?;
        Ok(fields
            .split_whitespace()
            .nth(number - 3)
            .context("a field")?
            .parse()?)
    };
    for (column, number) in [
        ("process_minor_faults", 10),
        ("process_major_faults", 12),
        ("process_threads", 20),
    ] {
        let least = field(number)?;
        let stored = pipeline.next(name, column).await?;
        let most = field(number)?;
        let (least, most) = (least.min(most), least.max(most));
        assert!(
            (least..=most).contains(&stored),
            "{column}: {stored} is not from {least} to {most}"
        );
    }
    assert_eq!(
        pipeline.next(name, "process_guest_ns").await?,
        0,
        "an emulated guest's code runs in the emulator"
    );
    Ok(())
}

async fn compare_still(pipeline: &Pipeline, guests: &Guests, name: &str) -> anyhow::Result<()> {
    eventually("the guest is seen suspended", PATIENCE, async || {
        Ok(pipeline.next(name, "state").await? == 3)
    })
    .await?;
    let said = guests.statistics(name)?;
    let now_us = now_us()?;
    for (column, field, factor) in STILL {
        let stored = pipeline.after(name, column, now_us, RARE).await?;
        let said = said[field] * factor;
        anyhow::ensure!(
            stored == said,
            "{column}: {stored} is stored, libvirt tells {said}"
        );
    }
    compare_resident(pipeline, guests, name).await
}

/// Resident memory stands still too, but for pages that the emulator touches when libvirt asks it: what libvirt
/// tells differently on the two sides of a sample is no measure of it.
async fn compare_resident(pipeline: &Pipeline, guests: &Guests, name: &str) -> anyhow::Result<()> {
    let said = || -> anyhow::Result<i64> { Ok(guests.statistics(name)?["balloon.rss"] * 1_024) };
    eventually("resident memory is what libvirt tells", RARE, async || {
        let before = said()?;
        let stored = pipeline.next(name, "memory_rss_bytes").await?;
        let after = said()?;
        anyhow::ensure!(
            before == stored && stored == after,
            "{stored} is stored, libvirt tells {before}, then {after}"
        );
        Ok(true)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_counters_equal_domstats_on_postgresql() {
    counters_equal_domstats(Flavor::Postgres).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_counters_equal_domstats_on_timescaledb() {
    counters_equal_domstats(Flavor::Timescale).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_without_libvirt_reports_itself_and_says_so() {
    let pipeline = Pipeline::start(Flavor::Postgres, "/nonexistent/libvirt-sock-ro".into())
        .await
        .unwrap();
    let row = pipeline
        .client
        .query_one("SELECT hypervisor, name FROM host", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "");
    assert_ne!(row.get::<_, &str>(1), "");
    let vms: i64 = pipeline
        .client
        .query_one("SELECT count(*) FROM vm", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(vms, 0);
    let log = std::fs::read_to_string(&pipeline.agent.log).unwrap();
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("/nonexistent/libvirt-sock-ro"))
            .count(),
        1,
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_of_guests_come_back_after_libvirtd_was_killed() {
    let _turn = TURN.lock().await;
    let guests = Guests::running(GUESTS).unwrap();
    let pipeline = Pipeline::start(Flavor::Postgres, guests.socket.clone())
        .await
        .unwrap();
    pipeline.next("vmscope-demo-1", "cpu_time_ns").await.unwrap();
    guests.libvirtd("stop").unwrap();
    let noticed = eventually("the gap has its cause", PATIENCE, async || {
        let text = "SELECT count(*) > 0 FROM gap WHERE cause = 'libvirt_down'";
        Ok(pipeline.client.query_one(text, &[]).await?.get(0))
    })
    .await;
    guests.libvirtd("start").unwrap();
    noticed.unwrap();
    pipeline.next("vmscope-demo-1", "cpu_time_ns").await.unwrap();
    pipeline.next("vmscope-demo-1", "disk_read_bytes").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stopped_guest_does_not_hold_up_the_others() {
    let _turn = TURN.lock().await;
    let guests = Guests::running(GUESTS).unwrap();
    let pipeline = Pipeline::start(Flavor::Postgres, guests.socket.clone())
        .await
        .unwrap();
    let stuck = "vmscope-demo-3";
    pipeline.next(stuck, "disk_read_bytes").await.unwrap();
    let from_us = now_us().unwrap();
    guests.freeze(stuck, true).unwrap();
    let gap = eventually("the stuck guest's gap has its cause", PATIENCE, async || {
        let text = "SELECT count(*) > 1 FROM gap JOIN vm ON vm.id = gap.vm_id WHERE gap.cause = 'busy' AND vm.name = $1";
        Ok(pipeline.client.query_one(text, &[&stuck]).await?.get(0))
    })
    .await;
    let window_us = (from_us, now_us().unwrap());
    guests.freeze(stuck, false).unwrap();
    gap.unwrap();
    check_cadence(&pipeline, stuck, window_us).await.unwrap();
    pipeline.next(stuck, "disk_read_bytes").await.unwrap();
}

/// In the window every other one of them has a cheap sample each second and a dear one each five.
async fn check_cadence(pipeline: &Pipeline, stuck: &str, window_us: (i64, i64)) -> anyhow::Result<()> {
    let text = "SELECT vm.name, count(s.cpu_time_ns), count(s.disk_read_bytes) FROM vm_sample s JOIN vm ON vm.id = s.entity_id
        WHERE vm.name <> $1 AND vm.name LIKE 'vmscope-demo-%' AND extract(epoch FROM s.time) * 1000000 BETWEEN $2::bigint AND $3::bigint GROUP BY 1";
    let seconds = (window_us.1 - window_us.0) / 1_000_000;
    anyhow::ensure!(
        seconds >= 5,
        "the window of {seconds} s is too short to prove anything"
    );
    let rows = pipeline
        .client
        .query(text, &[&stuck, &window_us.0, &window_us.1])
        .await?;
    anyhow::ensure!(
        rows.len() == GUESTS - 1,
        "{} other guests were sampled",
        rows.len()
    );
    for row in rows {
        let (name, cheap, dear): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        anyhow::ensure!(
            cheap >= seconds - 1,
            "{name}: {cheap} cheap samples in {seconds} s"
        );
        anyhow::ensure!(
            dear >= seconds / 5 - 1,
            "{name}: {dear} dear samples in {seconds} s"
        );
    }
    Ok(())
}
