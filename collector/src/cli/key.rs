//! `vmscope-collector key`: the master keys, and what is sealed under them.

use super::{ConfigFile, moment, operator, print, table};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use vmscope_store::audit::{self, Entry};
use vmscope_store::secret::{self, Retired};
use vmscope_store::signing_key;
use vmscope_vault::{Error, KeySource, Keyring, Vault};

/// Seconds that a signing key verifies after it has signed for the last time: longer than a token lives and than a web server takes
/// to see that there is another one.
const OVERLAP_S: i64 = 3_600;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a master key and put it first into the key file, which is made unless it is there. Everything new is sealed
    /// under it from then on.
    Generate(KeyFile),
    /// List master keys, and how many secrets are sealed under each.
    List(KeyFile),
    /// Seal every secret anew under the first key of the file. Everything may go on running.
    Rotate(KeyFile),
    /// Remove a key from the file, once nothing is sealed under it, and refuse it from then on.
    Retire {
        /// The key's id, as `key list` shows it.
        id: String,
        #[command(flatten)]
        file: KeyFile,
    },
    /// Let web servers sign access tokens with a new key from now on. Nobody is logged out.
    RotateSigning {
        #[command(flatten)]
        config: ConfigFile,
        /// Also refuse what the old keys have signed: for a key that others know. Sessions live on.
        #[arg(long)]
        at_once: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct KeyFile {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// The key file, if it is not the one in the configuration.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl KeyFile {
    pub(super) fn path(&self) -> anyhow::Result<PathBuf> {
        match &self.file {
            Some(path) => Ok(path.clone()),
            None => (self.config.load()?.vault.file())
                .context("no key file: give --file, or master_keys in [vault] of the configuration"),
        }
    }
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Generate(file) => generate(&file).await,
        Command::List(file) => list(&file).await,
        Command::Rotate(file) => rotate(&file).await,
        Command::Retire { id, file } => retire(&id, &file).await,
        Command::RotateSigning { config, at_once } => rotate_signing(&config, at_once).await,
    }
}

async fn generate(file: &KeyFile) -> anyhow::Result<()> {
    let path = file.path()?;
    let id = Keyring::generate_into(&path)?;
    print(&format!("key {id} is the first in {}", path.display()))?;
    // The first key of all is made before there is a database.
    let entry = Entry::done("key.generate").on("master_key", &id, &id);
    let recorded =
        async { anyhow::Ok(audit::record(&file.config.store().await?, &operator(), &entry).await?) };
    if let Err(error) = recorded.await {
        print(&format!("not written into the audit trail: {error:#}"))?;
    }
    Ok(())
}

async fn list(file: &KeyFile) -> anyhow::Result<()> {
    let ring = Keyring::load(&file.path()?)?;
    let usage = secret::key_use(&file.config.store().await?).await?;
    let head = ["KEY", "STATE", "SECRETS", "RETIRED"];
    let mut rows = vec![head.map(ToOwned::to_owned).to_vec()];
    for (index, id) in ring.ids().enumerate() {
        let used = usage.iter().find(|used| used.master_key == id);
        let state = match used.and_then(|used| used.retired_at) {
            Some(_) => "retired, remove it from the file",
            None if index == 0 => "seals",
            None => "opens",
        };
        rows.push(vec![
            id.to_owned(),
            state.to_owned(),
            used.map_or(0, |used| used.secrets).to_string(),
            moment(used.and_then(|used| used.retired_at)),
        ]);
    }
    for used in usage
        .iter()
        .filter(|used| ring.ids().all(|id| id != used.master_key))
    {
        let state = match used.retired_at {
            Some(_) => "retired",
            None => "MISSING: its secrets can't be opened",
        };
        rows.push(vec![
            used.master_key.clone(),
            state.to_owned(),
            used.secrets.to_string(),
            moment(used.retired_at),
        ]);
    }
    print(&table(&rows))
}

async fn rotate(file: &KeyFile) -> anyhow::Result<()> {
    let store = file.config.store().await?;
    let vault = Vault::new(store.clone(), KeySource::open(&file.path()?)?);
    let rotated = vault.rotate().await?;
    let failed = rotated.failed.len();
    let entry = Entry::done("key.rotate")
        .on("master_key", &rotated.key, &rotated.key)
        .changing(
            None,
            Some(json!({"resealed": rotated.resealed, "failed": failed})),
        );
    audit::record(&store, &operator(), &entry).await?;
    print(&format!(
        "{} secrets were sealed anew under key {}",
        rotated.resealed, rotated.key
    ))?;
    for (_, problem) in &rotated.failed {
        print(problem)?;
    }
    if failed > 0 {
        bail!("{failed} secrets can't be opened and stay as they are");
    }
    Ok(())
}

async fn retire(id: &str, file: &KeyFile) -> anyhow::Result<()> {
    let path = file.path()?;
    let ring = Keyring::load(&path)?;
    if ring.ids().next() == Some(id) {
        return Err(Error::ActiveKey { id: id.to_owned() }.into());
    }
    if ring.ids().all(|known| known != id) {
        return Err(Error::NoSuchKey {
            path,
            id: id.to_owned(),
        }
        .into());
    }
    let store = file.config.store().await?;
    if let Retired::InUse(secrets) = secret::retire_key(&store, id).await? {
        bail!("{secrets} secrets are sealed under key {id}: vmscope-collector key rotate");
    }
    let entry = Entry::done("key.retire").on("master_key", id, id);
    audit::record(&store, &operator(), &entry).await?;
    Keyring::remove_from(&path, id)?;
    Ok(())
}

async fn rotate_signing(config: &ConfigFile, at_once: bool) -> anyhow::Result<()> {
    let store = config.store().await?;
    if !at_once {
        return match signing_key::retire(&store, &operator(), OVERLAP_S).await? {
            Some(kid) => print(&format!("key {kid} signs no more, and verifies for an hour")),
            None => print("no key signs: the next token makes one"),
        };
    }
    for key in signing_key::list(&store).await? {
        if let Some(sealed) = signing_key::remove(&store, &operator(), &key.kid).await? {
            secret::remove(&store, sealed).await?;
            print(&format!("key {} signs and verifies no more", key.kid))?;
        }
    }
    Ok(())
}
