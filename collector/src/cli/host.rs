//! `vmscope-collector host`: which hosts there are, and which are not let in any more.

use super::{ConfigFile, moment, operator, print, table};
use anyhow::bail;
use clap::Subcommand;
use serde_json::json;
use vmscope_link::Fingerprint;
use vmscope_model::HostId;
use vmscope_store::audit::{self, Entry};
use vmscope_store::certificate::{self, HostCertificates};
use vmscope_store::revocation::{self, Removal};

/// How much of a fingerprint tells two roots apart.
const SHORT: usize = 11;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List hosts: whether they report, until when their certificate is valid and which root signed it.
    List {
        #[command(flatten)]
        file: ConfigFile,
        /// Also those that were removed.
        #[arg(long)]
        removed: bool,
    },
    /// Refuse a host from now on: its session ends at once, its certificates are dead. `enrol token create --host` lets it
    /// in again.
    Revoke {
        /// The host's UUID.
        host: HostId,
        /// Why, for `host list`.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Forget a host that reports no more: its VMs, devices and gaps go at once, its samples when their time is over. Its
    /// certificates stay dead.
    Remove {
        /// The host's UUID.
        host: HostId,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { file, removed } => list(&file, removed).await,
        Command::Revoke { host, reason, file } => {
            let store = file.store().await?;
            let known = revocation::revoke_host(&store, host, &reason).await?;
            let entry = Entry::done("host.revoke")
                .on("host", host, "")
                .changing(None, Some(json!({"reason": reason})));
            audit::record(&store, &operator(), &entry).await?;
            if !known {
                print(&format!("{host} was not known; it is refused from now on"))?;
            }
            Ok(())
        }
        Command::Remove { host, file } => remove(host, &file).await,
    }
}

async fn remove(host: HostId, file: &ConfigFile) -> anyhow::Result<()> {
    let store = file.store().await?;
    let removal = revocation::remove_host(&store, host).await?;
    if removal == Removal::Reporting {
        bail!("{host} still reports: stop its agent, or revoke it, and try again");
    }
    let entry = Entry::done("host.remove").on("host", host, "");
    audit::record(&store, &operator(), &entry).await?;
    if removal == Removal::Unknown {
        print(&format!("{host} was not known; it is refused from now on"))?;
    }
    Ok(())
}

async fn list(file: &ConfigFile, removed: bool) -> anyhow::Result<()> {
    let head = [
        "HOST",
        "NAME",
        "STATE",
        "LAST SAMPLE",
        "CERTIFICATE UNTIL",
        "ROOT",
        "REASON",
    ];
    let mut rows = vec![head.map(ToOwned::to_owned).to_vec()];
    for host in certificate::list_hosts(&file.store().await?, removed).await? {
        let root = host
            .root_sha256
            .as_deref()
            .and_then(|bytes| bytes.try_into().ok());
        let root = root.map(|sha256| Fingerprint::new(sha256).to_string());
        rows.push(vec![
            host.host.to_string(),
            if host.name.is_empty() {
                "-".to_owned()
            } else {
                host.name.clone()
            },
            state(&host).to_owned(),
            moment(host.last_sample_at),
            moment(host.expires_at),
            root.map_or_else(|| "-".to_owned(), |text| text[..SHORT].to_owned()),
            host.reason,
        ]);
    }
    print(&table(&rows))
}

const fn state(host: &HostCertificates) -> &'static str {
    match host {
        host if host.removed_at.is_some() => "removed",
        host if host.revoked_at.is_some() => "revoked",
        host if host.reporting => "reporting",
        host if host.last_sample_at.is_some() => "silent",
        _ => "new",
    }
}
