//! The three programs, configured for one machine and started in one lifecycle.

use crate::cli::Options;
use crate::database::Urls;
use crate::identities::Identities;
use anyhow::Context;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use vmscope_agent::sampler::GuestConfig;
use vmscope_service::{Lifecycle, Secret, telemetry};
use vmscope_vault::Keyring;

/// Everything inside listens on loopback, on ports that the system chooses.
const INSIDE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Starts collector, web service and agent; returns the web service, and the code that makes the first user while there
/// is none.
///
/// # Errors
/// When a part can't start; the others end with `lifecycle`.
pub(crate) async fn start(
    options: &Options,
    data_dir: &Path,
    urls: &Urls,
    lifecycle: &Lifecycle,
) -> anyhow::Result<(vmscope_web::Web, Option<String>)> {
    let identities = Identities::prepare(data_dir)?;
    let vault = vault(data_dir)?;
    let (collector, code) = start_collector(data_dir, &identities, urls, vault.clone(), lifecycle)
        .await
        .context("collector")?;
    let web = start_web(options, data_dir, &identities, urls, vault, collector, lifecycle)
        .await
        .context("web service")?;
    start_agent(options, data_dir, &identities, collector, lifecycle)
        .await
        .context("agent")?;
    Ok((web, code))
}

/// The master keys in the data directory; the first start makes one.
fn vault(data_dir: &Path) -> anyhow::Result<vmscope_vault::Config> {
    let path = data_dir.join("master-keys");
    if !path.exists() {
        Keyring::generate_into(&path)?;
        tracing::info!(path = %path.display(), "made a master key: without it, secrets in the database can't be read");
    }
    Ok(vmscope_vault::Config {
        master_keys: Some(path),
    })
}

/// Exports, in the data directory.
fn storage(data_dir: &Path) -> vmscope_storage::Config {
    vmscope_storage::Config {
        dir: Some(data_dir.join("files")),
    }
}

async fn start_collector(
    data_dir: &Path,
    identities: &Identities,
    urls: &Urls,
    vault: vmscope_vault::Config,
    lifecycle: &Lifecycle,
) -> anyhow::Result<(SocketAddr, Option<String>)> {
    let config = vmscope_collector::Config {
        listen: INSIDE,
        admin: INSIDE,
        identity: identities.collector.files.clone(),
        authority: Some(vmscope_collector::config::Authority::new(
            identities.authority_dir.clone(),
        )),
        database: vmscope_collector::config::Database {
            web_role: urls.web_role.clone(),
            // The private database is in the data directory.
            disk: urls.web_role.is_some().then(|| data_dir.to_owned()),
            ..vmscope_collector::config::Database::new(Secret::new(urls.collector.clone()))
        },
        vault,
        retention: vmscope_collector::config::Retention::default(),
        storage: storage(data_dir),
        exports: vmscope_collector::config::Exports::default(),
        limits: vmscope_collector::config::Limits::default(),
        inventory: vmscope_collector::config::Inventory::default(),
        telemetry: telemetry::Config::default(),
    };
    // Before the web service looks for its tables.
    vmscope_collector::migrate(&config.database).await?;
    // A new one at each start: whoever sees this start is the one to tell, and nobody can know an earlier one.
    let code = vmscope_collector::setup_code(&config.database).await?;
    let collector = vmscope_collector::start(&config, &identities.collector.identity, lifecycle).await?;
    Ok((collector.address, code))
}

async fn start_web(
    options: &Options,
    data_dir: &Path,
    identities: &Identities,
    urls: &Urls,
    vault: vmscope_vault::Config,
    collector: SocketAddr,
    lifecycle: &Lifecycle,
) -> anyhow::Result<vmscope_web::Web> {
    let config = vmscope_web::Config {
        listen: options.listen,
        admin: INSIDE,
        collectors: vec![collector.to_string()],
        identity: identities.web.files.clone(),
        database: vmscope_web::config::Database {
            url: Secret::new(urls.web.clone()),
        },
        vault,
        storage: storage(data_dir),
        limits: vmscope_web::limit::Config::default(),
        tls: None,
        state_dir: data_dir.join("web"),
        telemetry: telemetry::Config::default(),
    };
    Ok(vmscope_web::start(&config, &identities.web.identity, lifecycle).await?)
}

async fn start_agent(
    options: &Options,
    data_dir: &Path,
    identities: &Identities,
    collector: SocketAddr,
    lifecycle: &Lifecycle,
) -> anyhow::Result<()> {
    let config = vmscope_agent::Config {
        collectors: vec![collector.to_string()],
        identity: Some(identities.agent.files.clone()),
        enrol: None,
        data_dir: data_dir.join("agent"),
        admin_address: None,
        nice: None,
        buffer: vmscope_agent::buffer::Config::default(),
        sampler: vmscope_agent::sampler::Config {
            libvirt_socket: options.libvirt_socket.clone(),
            ..vmscope_agent::sampler::Config::default()
        },
        guest: guests(options),
        telemetry: telemetry::Config::default(),
    };
    config.validate()?;
    vmscope_agent::start(&config, &identities.agent.identity, lifecycle).await?;
    Ok(())
}

fn guests(options: &Options) -> GuestConfig {
    let default = GuestConfig::default();
    match &options.guest_socket {
        Some(socket) => GuestConfig {
            enabled: true,
            libvirt_socket: socket.clone(),
            ..default
        },
        None => default,
    }
}
