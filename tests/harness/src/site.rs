//! A whole installation in one folder: certificates, configuration files, and the real programs over them.

use crate::daemon::Daemon;
use anyhow::Context;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;
use vmscope_link::authority::LEAF_DAYS;
use vmscope_link::{Authority, Identity, IdentityFiles, Role, Validity};
use vmscope_model::HostId;

/// How an agent of a site differs from the default one.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// Where it dials, in order.
    pub collectors: Vec<SocketAddr>,
    /// libvirt's socket; a path that does not exist for a host without libvirt.
    pub libvirt_socket: PathBuf,
    /// Interval of the host and cheap groups, in milliseconds.
    pub interval_ms: u64,
    /// Interval of the dear groups, in milliseconds.
    pub dear_interval_ms: u64,
    /// Deadline of the dear groups, in milliseconds.
    pub dear_deadline_ms: u64,
    /// libvirt's read-write socket: guests are asked about themselves each second.
    pub guest_socket: Option<PathBuf>,
    /// Bytes of samples in memory while the disk takes none.
    pub memory_ring_bytes: u64,
    /// What it is started through, see [`Daemon::start_through`].
    pub wrapper: Vec<String>,
}

impl AgentOptions {
    /// A host without libvirt that dials `collector` and samples at the default intervals.
    pub fn new(collector: SocketAddr) -> Self {
        Self {
            collectors: vec![collector],
            libvirt_socket: "/nonexistent/libvirt-sock-ro".into(),
            interval_ms: 1_000,
            dear_interval_ms: 5_000,
            dear_deadline_ms: 2_000,
            guest_socket: None,
            memory_ring_bytes: 4 << 20,
            wrapper: Vec::new(),
        }
    }
}

/// A host of a site: who it is and where its agent keeps its things.
#[derive(Debug, Clone)]
pub struct Host {
    /// As in its certificate.
    pub id: HostId,
    folder: PathBuf,
}

/// A further collector of a site, over the same database.
#[derive(Debug, Clone)]
pub struct Second {
    /// Where it listens (UDP).
    pub address: SocketAddr,
    /// Its admin endpoint.
    pub admin: SocketAddr,
    /// What it is started through, see [`Daemon::start_through`].
    pub wrapper: Vec<String>,
    folder: PathBuf,
}

/// One installation; its folder goes when it is dropped, unless `VMSCOPE_KEEP_SITES` is set: its logs are there.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    /// Where its programs write.
    pub database_url: String,
    /// Who certifies its programs.
    pub authority: Authority,
    /// Where its collector listens (UDP).
    pub collector_address: SocketAddr,
    /// The collector's admin endpoint.
    pub collector_admin: SocketAddr,
}

impl Site {
    /// Makes certificates and chooses free ports.
    ///
    /// # Errors
    /// When the folder or a certificate can't be made.
    pub fn new(database_url: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("vmscope-site-")
            .disable_cleanup(std::env::var_os("VMSCOPE_KEEP_SITES").is_some())
            .tempdir()?;
        let site = Self {
            authority: Authority::create("test")?,
            folder,
            database_url: database_url.to_owned(),
            collector_address: free_udp_port()?,
            collector_admin: free_tcp_port()?,
        };
        site.certify(&site.path("collector"), &Role::Collector("test".to_owned()))?;
        Ok(site)
    }

    /// One more collector, with a certificate for `name` and a folder of its own.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn add_collector(&self, name: &str) -> anyhow::Result<Second> {
        let folder = self.path(name);
        self.certify(&folder, &Role::Collector(name.to_owned()))?;
        Ok(Second {
            address: free_udp_port()?,
            admin: free_tcp_port()?,
            wrapper: Vec::new(),
            folder,
        })
    }

    /// One more host of this site, with a certificate and a folder of its own.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn add_host(&self) -> anyhow::Result<Host> {
        let id = HostId(Uuid::new_v4());
        let folder = self.path(&id.to_string());
        self.certify(&folder, &Role::Agent(id))?;
        Ok(Host { id, folder })
    }

    pub(crate) fn certify(&self, folder: &Path, role: &Role) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let issued = self.authority.issue(role, Validity::days(LEAF_DAYS))?;
        Ok(issued.write(&IdentityFiles::within(folder))?)
    }

    /// Leaves the folder where it is, for a person to look at; gives where.
    pub fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }

    /// A path in the site's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the collector.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_collector(&self) -> anyhow::Result<Daemon> {
        self.start_second(&Second {
            address: self.collector_address,
            admin: self.collector_admin,
            wrapper: Vec::new(),
            folder: self.path("collector"),
        })
    }

    /// Starts a further collector. The database knows its connections by the last part of its folder.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_second(&self, collector: &Second) -> anyhow::Result<Daemon> {
        let text = format!(
            "listen = \"{}\"\nadmin = \"{}\"\n{}[database]\nurl = \"{}\"\n",
            collector.address,
            collector.admin,
            identity(&collector.folder),
            named(&self.database_url, &collector.folder)
        );
        start(&collector.wrapper, "vmscope-collector", &collector.folder, &text)
    }

    /// Starts the agent of `host`.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_agent(&self, host: &Host, options: &AgentOptions) -> anyhow::Result<Daemon> {
        let collectors: Vec<String> = options.collectors.iter().map(|a| format!("\"{a}\"")).collect();
        let mut text = format!(
            "collectors = [{collectors}]\ndata_dir = \"{data}\"\n{identity}\
             [buffer]\naccount_path = \"{account}\"\nmemory_ring_bytes = {ring}\n\
             [sampler]\nhost_interval_ms = {interval}\ncheap_interval_ms = {interval}\ndear_interval_ms = {dear}\n\
             dear_deadline_ms = {deadline}\nlibvirt_socket = \"{socket}\"\n",
            collectors = collectors.join(", "),
            data = host.data_dir().display(),
            identity = identity(&host.folder),
            account = host.account_path().display(),
            ring = options.memory_ring_bytes,
            interval = options.interval_ms,
            dear = options.dear_interval_ms,
            deadline = options.dear_deadline_ms,
            socket = options.libvirt_socket.display(),
        );
        if let Some(socket) = &options.guest_socket {
            let socket = socket.display();
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "[guest]\nenabled = true\ninterval_s = 1\nlibvirt_socket = \"{socket}\"\n"
            );
        }
        start(&options.wrapper, "vmscope-agent", &host.folder, &text)
    }

    /// A certificate of this site for a host that only the test plays.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn agent_identity(&self, host: HostId) -> anyhow::Result<Identity> {
        Ok(self
            .authority
            .issue(&Role::Agent(host), Validity::days(LEAF_DAYS))?
            .identity()?)
    }

    /// A connection of the test's own.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.database_url).await
    }
}

impl Host {
    /// The file to which its agent accounts for its ticks.
    pub fn account_path(&self) -> PathBuf {
        self.folder.join("account")
    }

    /// Where its agent keeps its buffer.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The `[identity]` section for the certificate in `folder`.
pub(crate) fn identity(folder: &Path) -> String {
    let IdentityFiles { ca, certificate, key } = IdentityFiles::within(folder);
    let (ca, certificate, key) = (ca.display(), certificate.display(), key.display());
    format!("[identity]\nca = \"{ca}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n")
}

pub(crate) fn start(
    wrapper: &[String],
    program: &str,
    folder: &Path,
    configuration: &str,
) -> anyhow::Result<Daemon> {
    let path = folder.join(format!("{program}.toml"));
    std::fs::write(&path, configuration).context("write a configuration")?;
    let path = path.display().to_string();
    Daemon::start_through(
        wrapper,
        program,
        &["run", "--config", &path],
        &folder.join(format!("{program}.log")),
    )
}

/// A plain connection, driven by a task until the client is dropped.
///
/// # Errors
/// When the database does not answer.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Asks `condition` until it says yes.
///
/// # Errors
/// When it did not within `limit`; the text says what was waited for.
pub async fn eventually<F>(what: &str, limit: Duration, mut condition: F) -> anyhow::Result<()>
where
    F: AsyncFnMut() -> anyhow::Result<bool>,
{
    let asked = tokio::time::Instant::now();
    let mut last = None;
    while asked.elapsed() < limit {
        match condition().await {
            Ok(true) => return Ok(()),
            Ok(false) => last = None,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let reason = last.map_or_else(
        || "the condition is false".to_owned(),
        |error| format!("{error:#}"),
    );
    anyhow::bail!("{what}: not within {} s: {reason}", limit.as_secs())
}

/// The same database, which shows the connections under the name of `folder` (`pg_stat_activity.application_name`).
fn named(url: &str, folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}application_name={name}")
}

pub(crate) fn free_udp_port() -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

pub(crate) fn free_tcp_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
