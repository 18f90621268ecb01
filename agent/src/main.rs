//! `vmscope-agent`: samples this host and its VMs and delivers the samples to a collector.
use anyhow::Context;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use vmscope_agent::Config;
use vmscope_link::Identity;
use vmscope_service::{Lifecycle, telemetry};

#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Run until a signal comes.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Say whether `run` would accept the configuration and the certificates.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let command = Command::parse();
    let (Command::Run { config } | Command::CheckConfig { config }) = &command;
    let config = Config::load(config)?;
    let identity = Identity::load(&config.identity).context("identity can't be loaded")?;
    if matches!(command, Command::CheckConfig { .. }) {
        return Ok(ExitCode::SUCCESS);
    }
    telemetry::init(&config.telemetry)?;
    let lifecycle = Lifecycle::new();
    vmscope_agent::start(&config, &identity, &lifecycle).await?;
    Ok(lifecycle.run().await)
}
