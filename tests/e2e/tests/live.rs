//! A thousand live connections: whatever dies, every one of them gets to the newest values by itself, and those who do not read
//! cost next to nothing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and the time is of interest"
)]

use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use vmscope::postgres::Server;
use vmscope_harness::centre::metric;
use vmscope_harness::daemon::Daemon;
use vmscope_harness::database;
use vmscope_harness::live::{Live, Socket};
use vmscope_harness::pretended::Pretended;
use vmscope_harness::site::{Site, eventually};

/// Hosts, and virtual machines of each.
const HOSTS: usize = 50;
const VMS: usize = 20;
/// Connections; each watches as many virtual machines as a host has.
const SOCKETS: usize = 1_000;
/// Connections that stop reading; each watches all virtual machines.
const DEAF: usize = 100;
/// Samples that are merged for those who do not read, at least.
const CONFLATED: u64 = 100_000;
/// What all of those may cost: each watches as much as one may, and that has to be known.
const DEAF_KIB: u64 = 96 << 10;
/// Connections that are opened at the same time.
const OPENING: usize = 32;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything that runs. Fields are dropped in this order.
struct Stage {
    crowd: Crowd,
    live: Live,
    pretended: Pretended,
    collector: Option<Daemon>,
    site: Site,
    database: Server,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("vmscope-live-")
            .tempdir()
            .unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let database = database::start(folder.path()).await.unwrap();
        let site = Site::new(&database.url).unwrap();
        let collector = Some(site.start_collector().unwrap());
        let live = Live::start(&site).await.unwrap();
        let pretended = Pretended::start(&site, HOSTS, VMS).unwrap();
        eventually("all virtual machines are known", PATIENCE, async || {
            Ok(live.person.get("/api/v1/vms?page_size=1")?["total"] == HOSTS * VMS)
        })
        .await
        .unwrap();
        let crowd = Crowd::gather(&live, &pretended).await;
        Self {
            crowd,
            live,
            pretended,
            collector,
            site,
            database,
            _folder: folder,
        }
    }

    /// Shows another number, and waits until everybody sees it of everything that he watches.
    async fn converge(&mut self, number: i64, what: &str) {
        self.pretended.show(number);
        self.arrive(number, what).await;
    }

    async fn arrive(&mut self, number: i64, what: &str) {
        let begun = Instant::now();
        let crowd = &mut self.crowd;
        eventually(what, PATIENCE, async || Ok(crowd.all_see(number)))
            .await
            .unwrap();
        println!(
            "{what}: {SOCKETS} connections after {} ms",
            begun.elapsed().as_millis()
        );
    }
}

/// Connections that read, and the lowest number that each has last seen of what it watches.
struct Crowd {
    lowest: Vec<Arc<AtomicI64>>,
    reading: JoinSet<anyhow::Result<()>>,
}

impl Crowd {
    /// Every second one watches single virtual machines of many hosts, the others a group of all of one host.
    async fn gather(live: &Live, pretended: &Pretended) -> Self {
        let groups: Vec<String> = (0..HOSTS).map(|host| group(live, pretended, host)).collect();
        let mut crowd = Self {
            lowest: Vec::new(),
            reading: JoinSet::new(),
        };
        let topics = |number: usize| match number % 2 {
            0 => vec![groups[number / 2 % HOSTS].clone()],
            _ => (0..VMS).map(|vm| name(pretended, number + vm, vm)).collect(),
        };
        let all: Vec<Vec<String>> = (0..SOCKETS).map(topics).collect();
        for some in all.chunks(OPENING) {
            let opening = some.iter().map(|topics| open(live, topics, None));
            for socket in futures_util::future::try_join_all(opening).await.unwrap() {
                let lowest = Arc::new(AtomicI64::new(0));
                crowd.lowest.push(lowest.clone());
                crowd.reading.spawn(read(socket, lowest));
            }
        }
        crowd
    }

    /// Whether everybody has last seen this number. Nobody may have lost his connection.
    fn all_see(&mut self, number: i64) -> bool {
        if let Some(ended) = self.reading.try_join_next() {
            ended.unwrap().unwrap();
        }
        self.lowest
            .iter()
            .all(|lowest| lowest.load(Ordering::Relaxed) == number)
    }
}

fn name(pretended: &Pretended, host: usize, vm: usize) -> String {
    format!("vm:{}", pretended.hosts[host % HOSTS].1[vm])
}

/// Makes a group of all virtual machines of a host.
fn group(live: &Live, pretended: &Pretended, host: usize) -> String {
    let definition = json!({"name": format!("group {host}"), "description": ""});
    let made = live.person.send("POST", "/api/v1/groups", &definition).unwrap();
    let id = made["id"].as_str().unwrap();
    let members = json!({"add": pretended.hosts[host].1});
    let path = format!("/api/v1/groups/{id}/members");
    live.person.send("PUT", &path, &members).unwrap();
    format!("group:{id}")
}

async fn open(live: &Live, topics: &[String], receive_bytes: Option<u32>) -> anyhow::Result<Socket> {
    let mut socket = live.socket(receive_bytes).await?;
    socket.subscribe(topics).await?;
    Ok(socket)
}

/// Reads until the connection is lost, which is a failure.
async fn read(mut socket: Socket, lowest: Arc<AtomicI64>) -> anyhow::Result<()> {
    let mut seen: HashMap<String, i64> = HashMap::new();
    loop {
        let message: Json = serde_json::from_str(&socket.next().await?)?;
        match message["type"].as_str() {
            Some("sample") => note(&mut seen, &message),
            Some("snapshot") => {
                let samples = message["samples"].as_array().into_iter().flatten();
                samples.for_each(|sample| note(&mut seen, sample));
            }
            Some("error") => anyhow::bail!("{message}"),
            _ => continue,
        }
        if seen.len() == VMS {
            lowest.store(
                seen.values().copied().min().unwrap_or_default(),
                Ordering::Relaxed,
            );
        }
    }
}

fn note(seen: &mut HashMap<String, i64>, sample: &Json) {
    let entity = sample["entity"].as_str().unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
    if let Some(number) = sample["values"]["memory_used_bytes"].as_f64() {
        seen.insert(entity.to_owned(), number as i64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_get_to_the_newest_values_whatever_dies_and_whoever_does_not_read() {
    vmscope_service::files::raise_open_files();
    let mut stage = Stage::start().await;
    stage.arrive(1, "the beginning").await;

    stage.collector.take().unwrap().kill().unwrap();
    stage.pretended.show(2);
    stage.collector = Some(stage.site.start_collector().unwrap());
    stage.arrive(2, "the collector was killed").await;

    database::kill(&stage.database).await.unwrap();
    stage.converge(3, "the database was killed").await;
    let person = &stage.live.person;
    eventually("what was shown meanwhile is stored", PATIENCE, async || {
        let vms = person.get("/api/v1/vms?page_size=500&sort=last_sample_at")?;
        let items = vms["items"].as_array().into_iter().flatten();
        Ok(items.filter(|vm| vm["memory_used_bytes"] == 3).count() == 500)
    })
    .await
    .unwrap();
    stage.converge(4, "the database is back").await;

    with_deaf_ones(&mut stage).await;
}

/// Memory does not grow with what is not read, nobody else notices, and who takes nothing is left at last.
async fn with_deaf_ones(stage: &mut Stage) {
    let before = stage.live.web.daemon.rss_kib().unwrap();
    let all: Vec<String> = (0..HOSTS * VMS)
        .map(|number| name(&stage.pretended, number / VMS, number % VMS))
        .collect();
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        deaf.push(open(&stage.live, &all, Some(4 << 10)).await.unwrap());
    }
    let admin = stage.live.web.admin;
    let conflated = || metric(admin, "vmscope_web_live_conflated_total");
    let begun = conflated().unwrap();
    eventually("much is merged", PATIENCE, async || {
        Ok(conflated()? - begun > CONFLATED)
    })
    .await
    .unwrap();
    stage.converge(5, "with those who do not read").await;
    let mut highest = 0;
    eventually("who takes nothing is left", PATIENCE, async || {
        highest = highest.max(stage.live.web.daemon.rss_kib()?);
        Ok(metric(admin, "vmscope_web_live_clients")? == SOCKETS as u64)
    })
    .await
    .unwrap();
    let merged = conflated().unwrap() - begun;
    println!(
        "resident: {before} KiB, with {DEAF} that do not read {highest} KiB at most; {merged} samples merged"
    );
    assert!(highest < before + DEAF_KIB, "{before} {highest}");
}
