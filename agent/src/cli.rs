//! The commands of `vmscope-agent`.

use crate::config::{self, is_host_port};
use crate::enrol::{self, Exchange, TokenSource};
use crate::{Config, start};
use anyhow::{Context, bail};
use clap::{Args, Parser};
use std::path::PathBuf;
use std::process::ExitCode;
use vmscope_link::{Fingerprint, Identity};
use vmscope_model::HostId;
use vmscope_service::{Lifecycle, telemetry};

/// Samples this host and its virtual machines and delivers the samples to a collector.
#[derive(Debug, Parser)]
#[command(name = "vmscope-agent", version)]
pub enum Command {
    /// Run until a signal comes.
    Run(ConfigFile),
    /// Say whether `run` would accept the configuration and the certificates.
    CheckConfig(ConfigFile),
    /// Get a certificate for a token. What is not said here comes from the section [enrol] of the configuration.
    ///
    /// The token is read from a file or from standard input. It is no argument, because arguments are seen by everyone who
    /// lists processes, and stay in the shell's history. An agent that runs takes the new certificate over by itself.
    Enrol(Enrol),
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/vmscope/agent.toml")]
    config: PathBuf,
}

/// How to enrol.
#[derive(Debug, Args)]
pub struct Enrol {
    #[command(flatten)]
    file: ConfigFile,
    /// The collector, as host:port; else the first one of the configuration.
    #[arg(long, value_name = "HOST:PORT")]
    collector: Option<String>,
    /// SHA-256 of the authority's root, as the collector's `enrol token create` prints it.
    #[arg(long, value_name = "HEX")]
    ca_sha256: Option<Fingerprint>,
    /// File that holds the token, or - for standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// This host's UUID, if it has none yet; else one is made.
    #[arg(long, value_name = "UUID")]
    host_id: Option<HostId>,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the configuration, the certificates or the enrolment.
pub async fn main(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(file) => run(file.load()?).await,
        Command::CheckConfig(file) => {
            identity(&file.load()?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Enrol(options) => {
            options.exchange()?.run().await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl ConfigFile {
    fn load(&self) -> Result<Config, config::Error> {
        Config::load(&self.config)
    }
}

impl Enrol {
    fn exchange(self) -> anyhow::Result<Exchange> {
        let config = self.file.load()?;
        if let Some(collector) = self.collector.as_ref().filter(|text| !is_host_port(text)) {
            bail!("--collector: {collector:?} is not host:port");
        }
        let (configured, section) = (Exchange::configured(&config), config.enrol.as_ref());
        let said = self.token_file.as_deref().map(TokenSource::parse);
        Ok(Exchange {
            collector: self
                .collector
                .or_else(|| configured.as_ref().map(|exchange| exchange.collector.clone()))
                .or_else(|| config.collectors.first().cloned())
                .context("no collector is named")?,
            ca_sha256: self
                .ca_sha256
                .or_else(|| section.map(|section| section.ca_sha256))
                .context("--ca-sha256 is missing: the collector's `enrol token create` prints it")?,
            token: said
                .or_else(|| configured.map(|exchange| exchange.token))
                .context("--token-file is missing: a file that holds the token, or - for standard input")?,
            host_id: self
                .host_id
                .or_else(|| section.and_then(|section| section.host_id)),
            files: config.identity_files(),
            data_dir: config.data_dir,
        })
    }
}

/// The identity that is there; nothing when there is none yet and the configuration says how to get one.
fn identity(config: &Config) -> anyhow::Result<Option<Identity>> {
    let files = config.identity_files();
    match Identity::load(&files) {
        Err(_) if config.enrol.is_some() && !files.certificate.exists() => Ok(None),
        loaded => Ok(Some(loaded.context("identity can't be loaded")?)),
    }
}

async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let found = identity(&config)?;
    telemetry::init(&config.telemetry)?;
    let lifecycle = Lifecycle::new();
    match found {
        Some(identity) => drop(start(&config, &identity, &lifecycle).await?),
        None => lifecycle.spawn_finite("enrolment", enrol_and_start(config, lifecycle.clone())),
    }
    Ok(lifecycle.run().await)
}

async fn enrol_and_start(config: Config, lifecycle: Lifecycle) -> anyhow::Result<()> {
    let exchange = Exchange::configured(&config).context("a section [enrol]")?;
    if let Some(identity) = enrol::until_enrolled(&exchange, &lifecycle.stopping()).await {
        start(&config, &identity, &lifecycle).await?;
    }
    Ok(())
}
