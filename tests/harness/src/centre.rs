//! An installation whose hosts enrol: everything by the real programs' own commands, nothing issued by the test itself.

use crate::daemon::{Daemon, binary};
use crate::site::{connect, free_tcp_port, free_udp_port};
use anyhow::{Context, ensure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use tokio_postgres::Client;
use vmscope_model::HostId;

/// Milliseconds between an agent's samples.
const INTERVAL_MS: u32 = 250;

/// A collector with an authority; its folder goes when it is dropped, unless `VMSCOPE_KEEP_SITES` is set.
#[derive(Debug)]
pub struct Centre {
    folder: TempDir,
    database_url: String,
    certificate_lifetime_s: u32,
    /// Where its collector listens (UDP).
    pub address: SocketAddr,
    /// The collector's admin endpoint.
    pub admin: SocketAddr,
}

/// What `enrol token create` printed.
#[derive(Debug, Clone)]
pub struct Token {
    /// The whole token.
    pub text: String,
    /// The SHA-256 of the authority's root.
    pub pin: String,
}

impl Token {
    /// The part that may be shown.
    pub fn id(&self) -> &str {
        self.text.split('_').nth(1).unwrap_or_default()
    }

    /// The part that may not.
    pub fn secret(&self) -> &str {
        self.text.rsplit('_').next().unwrap_or_default()
    }
}

impl Centre {
    /// Makes an authority, a collector's certificate and the database's schema; certificates of agents live this long.
    ///
    /// # Errors
    /// When a command fails.
    pub fn new(database_url: &str, certificate_lifetime_s: u32) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("vmscope-centre-")
            .disable_cleanup(std::env::var_os("VMSCOPE_KEEP_SITES").is_some())
            .tempdir()?;
        let centre = Self {
            folder,
            database_url: database_url.to_owned(),
            certificate_lifetime_s,
            address: free_udp_port()?,
            admin: free_tcp_port()?,
        };
        centre.ca("init", &[])?;
        centre.issue_collector()?;
        std::fs::write(centre.config(), centre.configuration(true))?;
        centre.command(&["migrate"])?;
        Ok(centre)
    }

    fn configuration(&self, with_authority: bool) -> String {
        let (collector, ca) = (self.path("collector"), self.path("ca"));
        let (collector, ca) = (collector.display(), ca.display());
        let authority = format!(
            "[authority]\ndir = \"{ca}\"\ncertificate_lifetime_s = {}\n",
            self.certificate_lifetime_s
        );
        format!(
            "listen = \"{}\"\nadmin = \"{}\"\n[identity]\nca = \"{collector}/ca.pem\"\n\
             certificate = \"{collector}/certificate.pem\"\nkey = \"{collector}/key.pem\"\n\
             {}[database]\nurl = \"{}\"\n",
            self.address,
            self.admin,
            if with_authority { &authority } else { "" },
            self.database_url
        )
    }

    /// A path in the centre's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("collector.toml")
    }

    /// Where the collector's messages are.
    pub fn log(&self) -> PathBuf {
        self.path("collector.log")
    }

    /// `vmscope-collector ca COMMAND` on the centre's authority.
    ///
    /// # Errors
    /// When it fails.
    pub fn ca(&self, command: &str, more: &[&str]) -> anyhow::Result<String> {
        let dir = self.path("ca").display().to_string();
        succeed(
            Command::new(binary("vmscope-collector")?)
                .args(["ca", command, "--dir", &dir])
                .args(more),
        )
    }

    /// Issues the collector's own certificate, again.
    ///
    /// # Errors
    /// When the command fails.
    pub fn issue_collector(&self) -> anyhow::Result<()> {
        let out = self.path("collector").display().to_string();
        self.ca("issue", &["--role", "collector", "--id", "north", "--out", &out])?;
        Ok(())
    }

    /// `vmscope-collector ARGUMENTS --config ...`; gives what it printed.
    ///
    /// # Errors
    /// When it fails; the text is what it said.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(binary("vmscope-collector")?);
        succeed(command.args(arguments).arg("--config").arg(self.config()))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// When the command fails or prints something else.
    pub fn token(&self, arguments: &[&str]) -> anyhow::Result<Token> {
        let printed = self.command(&[&["enrol", "token", "create"], arguments].concat())?;
        let value = |name: &str| {
            let line = printed.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned())
                .with_context(|| format!("no {name} in {printed}"))
        };
        Ok(Token {
            text: value("token:")?,
            pin: value("ca-sha256:")?,
        })
    }

    /// Starts the collector.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(&self) -> anyhow::Result<Daemon> {
        let config = self.config().display().to_string();
        Daemon::start("vmscope-collector", &["run", "--config", &config], &self.log())
    }

    /// Starts a collector that has no authority.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start_without_authority(&self) -> anyhow::Result<Daemon> {
        let config = self.path("without.toml");
        std::fs::write(&config, self.configuration(false))?;
        let config = config.display().to_string();
        Daemon::start("vmscope-collector", &["run", "--config", &config], &self.log())
    }

    /// The value of a line of the collector's metrics, 0 when there is none.
    ///
    /// # Errors
    /// When the collector does not answer.
    pub fn metric(&self, name: &str) -> anyhow::Result<u64> {
        metric(self.admin, name)
    }

    /// A connection of the test's own.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.database_url).await
    }

    /// A machine without a certificate, with a configuration for its agent that knows the collector.
    ///
    /// # Errors
    /// When its folder can't be made.
    pub fn machine(&self, name: &str) -> anyhow::Result<Machine> {
        let machine = Machine {
            folder: self.path(name),
            collector: self.address,
            admin: free_tcp_port()?,
        };
        std::fs::create_dir_all(&machine.folder)?;
        machine.configure("")?;
        Ok(machine)
    }
}

/// A machine with an agent.
#[derive(Debug, Clone)]
pub struct Machine {
    folder: PathBuf,
    collector: SocketAddr,
    /// Its agent's admin endpoint.
    pub admin: SocketAddr,
}

impl Machine {
    fn configure(&self, section: &str) -> anyhow::Result<()> {
        let folder = self.folder.display();
        let text = format!(
            "collectors = [\"{}\"]\ndata_dir = \"{folder}/data\"\nadmin = \"{}\"\n{section}\
             [buffer]\naccount_path = \"{folder}/account\"\n\
             [sampler]\nhost_interval_ms = {INTERVAL_MS}\nlibvirt_socket = \"/nonexistent/socket\"\n",
            self.collector, self.admin
        );
        Ok(std::fs::write(self.config(), text)?)
    }

    /// Lets the agent enrol by itself with a token in a file.
    ///
    /// # Errors
    /// When the files can't be written.
    pub fn configure_enrolment(&self, token: &Token) -> anyhow::Result<()> {
        std::fs::write(self.token_file(), format!("{}\n", token.text))?;
        self.configure(&format!(
            "[enrol]\nca_sha256 = \"{}\"\ntoken_file = \"{}\"\n",
            token.pin,
            self.token_file().display()
        ))
    }

    /// Where its token is.
    pub fn token_file(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// The agent's configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.join("agent.toml")
    }

    /// The agent's messages.
    pub fn log(&self) -> PathBuf {
        self.folder.join("agent.log")
    }

    /// The file to which the agent accounts for its ticks.
    pub fn account(&self) -> PathBuf {
        self.folder.join("account")
    }

    /// A file of the agent's identity.
    pub fn identity(&self, name: &str) -> PathBuf {
        self.folder.join("data/identity").join(name)
    }

    /// Which host it is.
    ///
    /// # Errors
    /// When it has no id yet.
    pub fn host(&self) -> anyhow::Result<HostId> {
        let text = std::fs::read_to_string(self.folder.join("data/host-id"))?;
        Ok(text.trim().parse()?)
    }

    /// `vmscope-agent enrol`, the token on its standard input.
    ///
    /// # Errors
    /// When it fails; the text is what it said.
    pub fn enrol(&self, token: &Token, more: &[&str]) -> anyhow::Result<()> {
        let mut child = Command::new(binary("vmscope-agent")?)
            .args([
                "enrol",
                "--token-file",
                "-",
                "--ca-sha256",
                &token.pin,
                "--config",
            ])
            .arg(self.config())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("a standard input")?;
        // A command that has failed already reads no token.
        let _ = writeln!({ input }, "{}", token.text);
        let output = child.wait_with_output()?;
        judge(&output).map(|_| ())
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(&self) -> anyhow::Result<Daemon> {
        let config = self.config().display().to_string();
        Daemon::start("vmscope-agent", &["run", "--config", &config], &self.log())
    }

    /// A machine of someone else with a copy of this one's identity.
    ///
    /// # Errors
    /// When it can't be copied.
    pub fn stolen(&self, centre: &Centre, name: &str) -> anyhow::Result<Self> {
        let thief = centre.machine(name)?;
        let identity = thief.identity("key.pem");
        std::fs::create_dir_all(identity.parent().context("a folder")?)?;
        for name in ["ca.pem", "certificate.pem", "key.pem"] {
            std::fs::copy(self.identity(name), thief.identity(name))?;
        }
        Ok(thief)
    }
}

/// The value of a line of `/metrics`, 0 when there is none.
///
/// # Errors
/// When nobody answers.
pub fn metric(admin: SocketAddr, name: &str) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(admin)?;
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(Ok(0), |value| Ok(value.trim().parse()?))
}

/// Whether a file holds a text.
///
/// # Errors
/// When it can't be read.
pub fn holds(path: &Path, text: &str) -> anyhow::Result<bool> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).contains(text))
}

fn succeed(command: &mut Command) -> anyhow::Result<String> {
    judge(&command.stdin(Stdio::null()).output()?)
}

fn judge(output: &Output) -> anyhow::Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(String::from_utf8(output.stdout.clone())?)
}
