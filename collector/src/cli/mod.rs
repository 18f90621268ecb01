//! The commands of `vmscope-collector`.

mod audit;
mod ca;
mod enrol;
mod host;
mod key;
mod user;

use crate::enrol::authority::Standing;
use crate::{Config, start};
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vmscope_link::Identity;
use vmscope_service::{Lifecycle, config, telemetry};
use vmscope_store::audit::{Actor, Context};
use vmscope_store::{Store, schema};
use vmscope_vault::KeySource;

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
    /// Make certificates by hand, and replace the authority's root.
    #[command(subcommand)]
    Ca(ca::Command),
    /// Let hosts enrol by themselves.
    #[command(subcommand)]
    Enrol(enrol::Command),
    /// List hosts with their certificates, refuse them, remove them.
    #[command(subcommand)]
    Host(host::Command),
    /// Make, rotate and retire the master keys that secrets are sealed under.
    #[command(subcommand)]
    Key(key::Command),
    /// Make users, list them, let them in again.
    #[command(subcommand)]
    User(user::Command),
    /// Look whether the audit trail is as vmscope left it.
    #[command(subcommand)]
    Audit(audit::Command),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration, in TOML.
    #[arg(long, value_name = "FILE", default_value = "/etc/vmscope/collector.toml")]
    config: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(config::load(&self.config)?)
    }

    /// The database, if this program knows its schema.
    async fn store(&self) -> anyhow::Result<Store> {
        let store = Store::new(self.load()?.database.url.expose())?;
        schema::check(&store).await?;
        Ok(store)
    }
}

/// Runs the command; what fails is said on standard error.
pub async fn main(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Run(file) => run(&file.config).await,
        Command::CheckConfig(file) => check(&file).map(|()| ExitCode::SUCCESS),
        Command::Migrate(file) => migrate(&file).await.map(|()| ExitCode::SUCCESS),
        Command::Ca(command) => ca::run(command).map(|()| ExitCode::SUCCESS),
        Command::Enrol(command) => enrol::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Host(command) => host::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Key(command) => key::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::User(command) => user::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Audit(command) => audit::run(command).await.map(|()| ExitCode::SUCCESS),
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

fn check(file: &ConfigFile) -> anyhow::Result<()> {
    let config = file.load()?;
    telemetry::check(&config.telemetry)?;
    Standing::new(Identity::load(&config.identity)?, config.authority.as_ref())?;
    KeySource::find(&config.vault)?;
    Store::new(config.database.url.expose())?;
    Ok(())
}

async fn migrate(file: &ConfigFile) -> anyhow::Result<()> {
    let config = file.load()?;
    telemetry::init(&config.telemetry)?;
    Ok(crate::migrate(&config.database).await?)
}

/// Somebody at the command line, for the audit trail. Who may run it can do everything; the name is the one that the system
/// tells.
fn operator() -> Context {
    let user = ["SUDO_USER", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    let name = user.map_or_else(
        || "command line".to_owned(),
        |user| format!("command line ({user})"),
    );
    Context {
        actor: Actor::System { name },
        remote: String::new(),
        request_id: String::new(),
    }
}

/// Prints a command's result.
fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Lines of columns that stand below each other; the last one may be as long as it likes.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A moment to the second, or a dash.
fn moment(at: Option<impl std::fmt::Display>) -> String {
    at.map_or_else(
        || "-".to_owned(),
        |at| {
            let text = at.to_string();
            text.split_once('.')
                .map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
        },
    )
}
