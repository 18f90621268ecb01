//! A guest with a system inside: what it says of itself and of its memory, and that it delays nobody when it says nothing.
//!
//! These tests share the guests and some of them hurt them, so they take turns.

use anyhow::{Context, ensure};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::Client;
use vmscope_harness::daemon::Daemon;
use vmscope_harness::guests::Guests;
use vmscope_harness::person::Person;
use vmscope_harness::site::{AgentOptions, Site, eventually};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// One at a time.
static TURN: Mutex<()> = Mutex::const_new(());
/// How long anything may take to arrive.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many guests without a system `make test` starts.
const OTHERS: usize = 3;

/// An agent that asks guests each second, a collector and a database.
struct Pipeline {
    client: Client,
    _agent: Daemon,
    _collector: Daemon,
    _site: Site,
    _database: Database,
}

impl Pipeline {
    async fn start(guests: &Guests) -> anyhow::Result<Self> {
        let database = Database::create(Flavor::Postgres).await?;
        let site = Site::new(database.url())?;
        let collector = site.start_collector()?;
        let options = AgentOptions {
            libvirt_socket: guests.socket.clone(),
            guest_socket: Some(guests.guest_socket()?),
            ..AgentOptions::new(site.collector_address)
        };
        let agent = site.start_agent(&site.add_host()?, &options)?;
        Ok(Self {
            client: site.connect().await?,
            _agent: agent,
            _collector: collector,
            _site: site,
            _database: database,
        })
    }

    /// How long ago the guest last said something, in seconds; `None` before its first word.
    async fn silence_s(&self, name: &str) -> anyhow::Result<Option<f64>> {
        let text = "SELECT extract(epoch FROM now() - g.as_of)::float8 FROM guest g JOIN vm ON vm.id = g.vm_id WHERE vm.name = $1";
        let row = self.client.query_opt(text, &[&name]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    async fn until_it_speaks(&self, name: &str) -> anyhow::Result<()> {
        eventually("the guest says something new", PATIENCE, async || {
            Ok(self
                .silence_s(name)
                .await?
                .is_some_and(|silence_s| silence_s < 3.0))
        })
        .await
    }

    /// Waits until the guest has been silent for 12 s, and checks that no other was sampled more rarely meanwhile.
    async fn delays_nobody(&self, name: &str) -> anyhow::Result<()> {
        eventually("the guest is silent", PATIENCE, async || {
            Ok(self
                .silence_s(name)
                .await?
                .is_some_and(|silence_s| silence_s > 12.0))
        })
        .await?;
        let text = "SELECT count(s.cpu_time_ns), count(s.disk_read_bytes) FROM vm_sample s JOIN vm ON vm.id = s.entity_id
            WHERE vm.name LIKE 'vmscope-demo-%' AND s.time BETWEEN now() - interval '12 s' AND now() - interval '2 s'
            GROUP BY vm.name";
        let rows = self.client.query(text, &[]).await?;
        ensure!(rows.len() >= OTHERS, "{} other guests were sampled", rows.len());
        for row in rows {
            let (cheap, dear): (i64, i64) = (row.get(0), row.get(1));
            ensure!(
                cheap >= 9 && dear >= 1,
                "{cheap} cheap and {dear} dear samples in 10 s"
            );
        }
        Ok(())
    }
}

/// What `virsh guestinfo` says: numbers and texts by name.
fn said(guests: &Guests, name: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let text = guests.virsh(&["guestinfo", name])?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect())
}

/// What the API has to answer for a guest that says this.
fn expected(said: &BTreeMap<String, String>) -> anyhow::Result<Json> {
    let text = |key: &str| said.get(key).cloned().unwrap_or_default();
    let number = |key: &str| -> anyhow::Result<u64> { text(key).parse().with_context(|| key.to_owned()) };
    let mut file_systems = Vec::new();
    for one in 0..number("fs.count")? {
        file_systems.push(json!({
            "mount_point": text(&format!("fs.{one}.mountpoint")), "type": text(&format!("fs.{one}.fstype")),
            "total_bytes": number(&format!("fs.{one}.total-bytes"))?, "used_bytes": number(&format!("fs.{one}.used-bytes"))?,
        }));
    }
    let mut interfaces = Vec::new();
    for one in 0..number("if.count")? {
        let mut addresses = Vec::new();
        for address in 0..number(&format!("if.{one}.addr.count"))? {
            let part = |name: &str| text(&format!("if.{one}.addr.{address}.{name}"));
            addresses.push(format!("{}/{}", part("addr"), part("prefix")));
        }
        interfaces.push(json!({
            "name": text(&format!("if.{one}.name")), "hardware_address": text(&format!("if.{one}.hwaddr")), "addresses": addresses,
        }));
    }
    Ok(json!({
        "host_name": text("hostname"), "os": text("os.pretty-name"), "os_id": text("os.id"), "os_version": text("os.version"),
        "kernel": text("os.kernel-release"), "time_zone": text("timezone.name"), "file_systems": file_systems,
        "interfaces": interfaces, "user_count": number("user.count")?, "users": [text("user.0.name")],
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_s_word_is_shown_as_virsh_hears_it() {
    let _turn = TURN.lock().await;
    let guests = Guests::running(OTHERS).unwrap();
    let linux = guests.linux().unwrap();
    let database = Database::create(Flavor::Timescale).await.unwrap();
    let folder = tempfile::Builder::new()
        .prefix("vmscope-guest-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = |path: &Path| path.display().to_string();
    let arguments = [
        "run".to_owned(),
        "--data-dir".to_owned(),
        text(&folder.path().join("data")),
        "--listen".to_owned(),
        "127.0.0.1:0".to_owned(),
        "--database-url".to_owned(),
        database.url().to_owned(),
        "--libvirt-socket".to_owned(),
        text(&guests.socket),
        "--guest-socket".to_owned(),
        text(&guests.guest_socket().unwrap()),
    ];
    let log = folder.path().join("log");
    let vmscope = Daemon::start("vmscope", &arguments, &log).unwrap();
    let person = Person::first(&log).await.unwrap();
    let path = format!("/api/v1/vms/{}", guests.uuid(linux).unwrap());
    let mut guest = Json::Null;
    eventually("the guest's word", PATIENCE, async || {
        guest = person.get(&path)?["guest"].take();
        Ok(!guest.is_null())
    })
    .await
    .unwrap();
    let as_of = guest.as_object_mut().unwrap().remove("as_of");
    assert!(as_of.is_some_and(|as_of| as_of.is_string()));
    assert_eq!(guest, expected(&said(&guests, linux).unwrap()).unwrap());
    let other = format!("/api/v1/vms/{}", guests.uuid("vmscope-demo-1").unwrap());
    // The guest's word may come before the first sample of the others.
    let mut silent = Json::Null;
    eventually("the other guest is known", PATIENCE, async || {
        silent = person.get(&other)?;
        Ok(true)
    })
    .await
    .unwrap();
    assert!(silent["name"].is_string());
    assert_eq!(silent["guest"], Json::Null);
    assert!(vmscope.stop().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_a_guest_with_a_balloon_driver_is_its_own_count() {
    let _turn = TURN.lock().await;
    let guests = Guests::running(OTHERS).unwrap();
    let linux = guests.linux().unwrap();
    let pipeline = Pipeline::start(&guests).await.unwrap();
    // The driver tells new numbers each second: one of the pairs that virsh sees is the one that was stored.
    let mut seen: BTreeSet<(i64, i64)> = BTreeSet::new();
    eventually("the memory that virsh sees is stored", PATIENCE, async || {
        let now = guests.statistics(linux)?;
        seen.insert((now["balloon.available"] * 1024, now["balloon.usable"] * 1024));
        let text = "SELECT s.memory_available_bytes, s.memory_usable_bytes, s.memory_used_bytes, s.memory_used_source
            FROM vm_sample s JOIN vm ON vm.id = s.entity_id WHERE vm.name = $1 AND s.memory_used_bytes IS NOT NULL";
        for row in pipeline.client.query(text, &[&linux]).await? {
            let (available, usable): (i64, i64) = (row.get(0), row.get(1));
            ensure!(
                row.get::<_, i64>(2) == available - usable,
                "used is not {available} - {usable}"
            );
            ensure!(row.get::<_, i16>(3) == 1, "not from the balloon");
            if seen.contains(&(available, usable)) {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_whose_agent_is_stopped_delays_nobody() {
    let _turn = TURN.lock().await;
    let guests = Guests::running(OTHERS).unwrap();
    let linux = guests.linux().unwrap();
    let pipeline = Pipeline::start(&guests).await.unwrap();
    pipeline.until_it_speaks(linux).await.unwrap();
    // The guest continues it by itself: nobody could ask for it.
    let stop = json!({"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": [
        "-c", "kill -STOP $(pidof qemu-ga); sleep 20; kill -CONT $(pidof qemu-ga)",
    ]}});
    guests
        .virsh(&["qemu-agent-command", linux, &stop.to_string()])
        .unwrap();
    pipeline.delays_nobody(linux).await.unwrap();
    pipeline.until_it_speaks(linux).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_is_frozen_delays_nobody() {
    let _turn = TURN.lock().await;
    let guests = Guests::running(OTHERS).unwrap();
    let linux = guests.linux().unwrap();
    let pipeline = Pipeline::start(&guests).await.unwrap();
    pipeline.until_it_speaks(linux).await.unwrap();
    guests.freeze(linux, true).unwrap();
    let others = pipeline.delays_nobody(linux).await;
    guests.freeze(linux, false).unwrap();
    others.unwrap();
    pipeline.until_it_speaks(linux).await.unwrap();
}
