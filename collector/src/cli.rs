//! The commands of `vmscope-collector`.

use crate::{Config, start};
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vmscope_link::role::{Kind, Role};
use vmscope_link::{Authority, Identity, IdentityFiles, Validity, authority};
use vmscope_service::{Lifecycle, config, telemetry};

/// Takes samples from agents, stores them in PostgreSQL and feeds web servers.
#[derive(Debug, Parser)]
#[command(name = "vmscope-collector", version)]
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
    /// Bring the database's schema up to date and end (run does it as well).
    Migrate(ConfigFile),
    /// Make certificates.
    #[command(subcommand)]
    Ca(Ca),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration, in TOML.
    #[arg(long, value_name = "FILE", default_value = "/etc/vmscope/collector.toml")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Ca {
    /// Make a certificate authority: DIR/ca.pem and DIR/ca.key. Never overwrites one.
    Init {
        /// Where.
        #[arg(long)]
        dir: PathBuf,
        /// Name in the certificate.
        #[arg(long, default_value = "vmscope")]
        name: String,
    },
    /// Make a key and a certificate: OUT/key.pem, OUT/certificate.pem, with the authority's own as OUT/ca.pem.
    Issue {
        /// Where the authority is.
        #[arg(long)]
        dir: PathBuf,
        /// What the certificate is for: agent, collector or web.
        #[arg(long)]
        role: Kind,
        /// UUID of the host for an agent, a name for the others.
        #[arg(long)]
        id: String,
        /// Where the files go; made if missing.
        #[arg(long)]
        out: PathBuf,
        /// Days until it expires.
        #[arg(long, default_value_t = authority::LEAF_DAYS)]
        days: u32,
    },
}

/// Runs the command; what fails is said on standard error.
pub async fn main(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Run(file) => run(&file.config).await,
        Command::CheckConfig(file) => check(&file.config).map(|()| ExitCode::SUCCESS),
        Command::Migrate(file) => migrate(&file.config).await.map(|()| ExitCode::SUCCESS),
        Command::Ca(command) => certify(command).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        // There may be no log to write to, and nobody to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "vmscope-collector: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let config: Config = config::load(file)?;
    telemetry::init(&config.telemetry)?;
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
    Ok(())
}

async fn migrate(file: &Path) -> anyhow::Result<()> {
    let config: Config = config::load(file)?;
    telemetry::init(&config.telemetry)?;
    Ok(crate::migrate(&config.database).await?)
}

fn certify(command: Ca) -> anyhow::Result<()> {
    match command {
        Ca::Init { dir, name } => {
            Authority::init(&dir, &name)?;
        }
        Ca::Issue {
            dir,
            role,
            id,
            out,
            days,
        } => {
            let issued = Authority::open(&dir)?.issue(&Role::new(role, &id)?, Validity::days(days))?;
            std::fs::create_dir_all(&out).with_context(|| format!("{} can't be made", out.display()))?;
            issued.write(&IdentityFiles::within(&out))?;
        }
    }
    Ok(())
}
