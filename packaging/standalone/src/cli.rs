//! The command line of `vmscope`.

use crate::database::Urls;
use crate::parts;
use crate::postgres::Server;
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vmscope_service::{Lifecycle, files, telemetry};

/// The pool's idle connections end with the private database: that is no news.
const LOG_FILTER: &str = "info,deadpool.postgres=error";

/// Watches this host and its virtual machines: everything in one process, over a database of its own.
#[derive(Debug, Parser)]
#[command(name = "vmscope", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM or SIGINT.
    Run(Options),
}

/// How to run.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where everything is kept: database, buffer, certificates. Run as root, it must lie where an unprivileged user may
    /// enter.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/vmscope")]
    pub data_dir: PathBuf,
    /// Where the dashboard and the API answer: by HTTP on loopback, elsewhere by HTTPS with a certificate that is made at the first start.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8780")]
    pub listen: SocketAddr,
    /// Use this database instead of a private one.
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// libvirt's read-only socket.
    #[arg(long, value_name = "FILE", default_value = "/run/libvirt/libvirt-sock-ro")]
    pub libvirt_socket: PathBuf,
    /// libvirt's read-write socket. When given, guests are asked about themselves through QEMU's guest agent.
    #[arg(long, value_name = "FILE")]
    pub guest_socket: Option<PathBuf>,
}

/// Runs the command; what fails is said on standard error.
pub async fn main(arguments: Arguments) -> ExitCode {
    let Command::Run(options) = arguments.command;
    run(options).await.unwrap_or_else(|error| {
        // There may be no log to write to, and nobody to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "vmscope: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(options: Options) -> anyhow::Result<ExitCode> {
    telemetry::init(&telemetry::Config {
        filter: LOG_FILTER.to_owned(),
    })?;
    files::raise_open_files();
    let data_dir = std::path::absolute(&options.data_dir)?;
    let _lock = lock(&data_dir)?;
    let server = match &options.database_url {
        Some(_) => None,
        None => Some(start_database(&data_dir).await?),
    };
    let ended = match urls(&options, &data_dir, server.as_ref()).await {
        Ok(urls) => serve(&options, &data_dir, &urls).await,
        Err(error) => Err(error),
    };
    // After the last commit, and also when a part did not start.
    if let Some(server) = server {
        tokio::task::spawn_blocking(move || server.stop()).await?;
    }
    ended
}

/// How the parts reach the database.
async fn urls(options: &Options, data_dir: &Path, server: Option<&Server>) -> anyhow::Result<Urls> {
    match (&options.database_url, server) {
        (Some(url), _) => Ok(Urls::shared(url)),
        (None, Some(server)) => Urls::private(server, data_dir).await,
        (None, None) => anyhow::bail!("there is no database"),
    }
}

/// Only one vmscope may work in a data directory. The lock goes with the process, whatever ends it.
fn lock(data_dir: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(data_dir).with_context(|| format!("make {}", data_dir.display()))?;
    let path = data_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    file.try_lock()
        .with_context(|| format!("another vmscope works in {}", data_dir.display()))?;
    Ok(file)
}

async fn serve(options: &Options, data_dir: &Path, urls: &Urls) -> anyhow::Result<ExitCode> {
    let lifecycle = Lifecycle::new();
    let (web, code) = parts::start(options, data_dir, urls, &lifecycle).await?;
    lifecycle.spawn_finite(
        "greeting",
        crate::ready::announce(web, code, lifecycle.stopping()),
    );
    Ok(lifecycle.run().await)
}

async fn start_database(data_dir: &Path) -> anyhow::Result<Server> {
    let folder = data_dir.join("postgresql");
    Ok(tokio::task::spawn_blocking(move || Server::start(&folder)).await??)
}
