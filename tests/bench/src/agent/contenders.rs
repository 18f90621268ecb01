//! The collectors: how each is started, what it consists of, and where its values are counted.

use super::count::{Count, Values, of_netdata};
use super::{process_id, receivers};
use crate::http;
use crate::process::{self, Memory};
use anyhow::{Context, ensure};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use vmscope_harness::daemon::Daemon;
use vmscope_harness::guests::Guests;
use vmscope_harness::site::{AgentOptions, Site, eventually};

/// How long a program may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a collector may take to find every guest: netdata looks for new ones every ten seconds.
const DISCOVERY_LIMIT: Duration = Duration::from_mins(2);

/// What all of them look at.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) guests: Guests,
    /// The libvirtd of the guests.
    pub(super) libvirtd: u32,
    /// `packaging/dev/peers`.
    script: PathBuf,
}

impl Ground {
    pub(super) fn find(guests: Guests) -> anyhow::Result<Self> {
        let state =
            std::env::var("VMSCOPE_TEST_GUESTS").context("no VMSCOPE_TEST_GUESTS: read .dev/guests.env")?;
        Ok(Self {
            guests,
            libvirtd: process_id(&Path::new(&state).join("libvirtd.pid"))?,
            script: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/dev/peers"),
        })
    }

    /// What `packaging/dev/peers` prints.
    pub(super) fn peers(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(&self.script).args(arguments).output()?;
        ensure!(
            output.status.success(),
            "packaging/dev/peers {arguments:?}: {}; run: packaging/dev/peers install",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts a program of `packaging/dev/peers`, its messages in the folder of `site`.
    fn start(&self, site: &Site, arguments: &[&str]) -> anyhow::Result<Daemon> {
        let all: Vec<&str> = [&["run"], arguments].concat();
        let script = self.script.to_str().context("a path")?;
        Daemon::start(script, &all, &site.path(&format!("{}.log", arguments[0])))
    }
}

/// One way to collect what a host and its guests do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    Vmscope,
    /// `node_exporter` and the libvirt exporter.
    Exporters,
    Collectd,
    Netdata,
}

impl Contender {
    /// All of them, ours first.
    pub(super) const ALL: [Self; 4] = [Self::Vmscope, Self::Exporters, Self::Collectd, Self::Netdata];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Vmscope => "vmscope",
            Self::Exporters => "exporters",
            Self::Collectd => "collectd",
            Self::Netdata => "netdata",
        }
    }

    pub(super) async fn start(self, ground: &Ground) -> anyhow::Result<Running> {
        // Only for its certificates and its folder: there is no database.
        let site = Site::new("")?;
        match self {
            Self::Vmscope => start_vmscope(ground, site),
            Self::Exporters => start_exporters(ground, site).await,
            Self::Collectd => start_collectd(ground, site).await,
            Self::Netdata => start_netdata(ground, site).await,
        }
    }
}

/// Where the number of values is known.
#[derive(Debug)]
enum Source {
    Counted(Arc<Count>),
    /// netdata, at this address: nothing is fetched from it while it is measured.
    Netdata(String),
}

/// A collector at work.
#[derive(Debug)]
pub(super) struct Running {
    daemons: Vec<Daemon>,
    source: Source,
    receiving: JoinSet<anyhow::Result<()>>,
    _site: Site,
}

impl Running {
    /// Waits until the values of that many guests have come.
    pub(super) async fn wait_for_guests(&self, guests: usize) -> anyhow::Result<()> {
        eventually(
            "every guest is collected",
            DISCOVERY_LIMIT,
            async || match &self.source {
                Source::Counted(count) => Ok(count.guests() >= guests),
                Source::Netdata(address) => Ok(ask_netdata(address, 1.0).await?.1 >= guests),
            },
        )
        .await
    }

    /// Where counting stands.
    pub(super) fn mark(&self) -> Values {
        match &self.source {
            Source::Counted(count) => count.values(),
            Source::Netdata(_) => Values::default(),
        }
    }

    /// Values collected since `mark`, which is `seconds` ago. Fails when the receiver has failed.
    pub(super) async fn values_since(&mut self, mark: Values, seconds: f64) -> anyhow::Result<Values> {
        if let Some(ended) = self.receiving.try_join_next() {
            ended??;
            anyhow::bail!("the receiver has ended");
        }
        match &self.source {
            Source::Counted(count) => {
                let now = count.values();
                Ok(Values {
                    host: now.host - mark.host,
                    vm: now.vm - mark.vm,
                })
            }
            Source::Netdata(address) => Ok(ask_netdata(address, seconds).await?.0),
        }
    }

    /// CPU time of its programs and all that they have started.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        self.daemons
            .iter()
            .map(|daemon| process::tree_cpu(daemon.id()))
            .sum()
    }

    pub(super) fn memory(&self) -> anyhow::Result<Memory> {
        let mut total = Memory::default();
        for daemon in &self.daemons {
            total += process::tree_memory(daemon.id())?;
        }
        Ok(total)
    }

    /// Ends its programs.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        for daemon in self.daemons.drain(..) {
            daemon.stop()?;
        }
        Ok(())
    }
}

fn start_vmscope(ground: &Ground, site: Site) -> anyhow::Result<Running> {
    let (listener, address) = receivers::listen(&site)?;
    let count = Arc::new(Count::default());
    let mut receiving = JoinSet::new();
    receiving.spawn(receivers::take_ticks(listener, Arc::clone(&count)));
    let options = AgentOptions {
        libvirt_socket: ground.guests.socket.clone(),
        ..AgentOptions::new(address)
    };
    Ok(Running {
        daemons: vec![site.start_agent(&site.add_host()?, &options)?],
        source: Source::Counted(count),
        receiving,
        _site: site,
    })
}

async fn start_exporters(ground: &Ground, site: Site) -> anyhow::Result<Running> {
    let (mut daemons, mut urls) = (Vec::new(), Vec::new());
    for program in ["exporters-host", "exporters-vms"] {
        let port = free_port()?.to_string();
        daemons.push(ground.start(&site, &[program, &port])?);
        urls.push(format!("http://127.0.0.1:{port}/metrics"));
    }
    for url in &urls {
        wait_until_served(url).await?;
    }
    let count = Arc::new(Count::default());
    let mut receiving = JoinSet::new();
    receiving.spawn(receivers::scrape(urls, Arc::clone(&count)));
    Ok(Running {
        daemons,
        source: Source::Counted(count),
        receiving,
        _site: site,
    })
}

async fn start_collectd(ground: &Ground, site: Site) -> anyhow::Result<Running> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = socket.local_addr()?.port().to_string();
    let count = Arc::new(Count::default());
    let mut receiving = JoinSet::new();
    receiving.spawn(receivers::take_datagrams(socket, Arc::clone(&count)));
    let folder = site.path("collectd").display().to_string();
    Ok(Running {
        daemons: vec![ground.start(&site, &["collectd", &folder, &port])?],
        source: Source::Counted(count),
        receiving,
        _site: site,
    })
}

async fn start_netdata(ground: &Ground, site: Site) -> anyhow::Result<Running> {
    let port = free_port()?.to_string();
    let folder = site.path("netdata").display().to_string();
    let daemons = vec![ground.start(&site, &["netdata", &folder, &port])?];
    let address = format!("http://127.0.0.1:{port}");
    wait_until_served(&format!("{address}/api/v1/info")).await?;
    Ok(Running {
        daemons,
        source: Source::Netdata(address),
        receiving: JoinSet::new(),
        _site: site,
    })
}

/// What netdata collects in `seconds`, and of how many guests.
async fn ask_netdata(address: &str, seconds: f64) -> anyhow::Result<(Values, usize)> {
    let client = http::Client::new();
    let metrics = client
        .fetch(format!("{address}/api/v1/allmetrics?format=json"))
        .await?;
    let charts = client.fetch(format!("{address}/api/v1/charts")).await?;
    of_netdata(&metrics, &charts, seconds)
}

async fn wait_until_served(url: &str) -> anyhow::Result<()> {
    let client = http::Client::new();
    eventually(&format!("{url} is served"), START_LIMIT, async || {
        client.fetch(url.to_owned()).await.map(|_| true)
    })
    .await
}

/// A TCP port that nobody listens on.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
