//! The commands of `vmscope-web`.

use crate::{Config, Error, start};
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vmscope_link::Identity;
use vmscope_service::{Lifecycle, config, files, telemetry};
use vmscope_vault::KeySource;

/// Serves the dashboard and the API.
#[derive(Debug, Parser)]
#[command(name = "vmscope-web", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT.
    Run(ConfigFile),
    /// Read the configuration and everything it names, and say what is wrong.
    CheckConfig(ConfigFile),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration, in TOML.
    #[arg(long, value_name = "FILE", default_value = "/etc/vmscope/web.toml")]
    config: PathBuf,
}

/// Runs the command; what fails is said on standard error.
pub async fn main(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Run(file) => run(&file.config).await,
        Command::CheckConfig(file) => check(&file.config).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        // There may be no log to write to, and nobody to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "vmscope-web: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let config: Config = config::load(file)?;
    telemetry::init(&config.telemetry)?;
    files::raise_open_files();
    let identity = Identity::load(&config.identity)?;
    let lifecycle = Lifecycle::new();
    start(&config, &identity, &lifecycle).await?;
    Ok(lifecycle.run().await)
}

fn check(file: &Path) -> anyhow::Result<()> {
    let config: Config = config::load(file)?;
    telemetry::check(&config.telemetry)?;
    Identity::load(&config.identity)?;
    vmscope_store::Store::new(config.database.url.expose())?;
    KeySource::find(&config.vault)?.ok_or(Error::NoMasterKeys)?;
    Ok(())
}
