//! `vmscope-collector audit`: whether the audit trail is as vmscope left it.

use super::key::KeyFile;
use super::{operator, print};
use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;
use vmscope_store::Store;
use vmscope_store::audit::{self, Check, Checkpoint, Entry, Finding, Mark, Report, Since};
use vmscope_vault::{Error, KeySource, PublicKeys, Signer, Vault};

/// Findings that an entry of acceptance tells; the rest is a number.
const TOLD: usize = 50;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look for entries that were altered, replaced, removed or cut off, and name them. Ends with 1 if there are any.
    Verify(Verify),
    /// Sign the trail as it is, after a person has looked into what `verify` found. What was found stays visible.
    Accept {
        #[command(flatten)]
        file: KeyFile,
        /// Why, for the trail.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    file: KeyFile,
    /// Look only at entries with a higher number.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: i64,
    /// An entry that was there once, as `verify` printed it or a collector logged it (audit.mark). May be given again.
    #[arg(long = "known", value_name = "NUMBER:HASH")]
    known: Vec<Mark>,
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Verify(options) => {
            let since = Since {
                after: options.after,
                known: options.known,
            };
            let (store, vault) = open(&options.file).await?;
            tell(&look(&store, &vault, &since).await?)
        }
        Command::Accept { file, reason } => accept(&file, &reason).await,
    }
}

/// The database, and the keys without which no signature can be checked.
async fn open(file: &KeyFile) -> anyhow::Result<(Store, Vault)> {
    let store = file.config.store().await?;
    let vault = Vault::new(store.clone(), KeySource::open(&file.path()?)?);
    Ok((store, vault))
}

async fn look(store: &Store, vault: &Vault, since: &Since) -> anyhow::Result<Report> {
    let keys = PublicKeys::load(vault, &audit::signing_keys(store).await?).await?;
    for problem in keys.unopened() {
        print(&format!("what it has signed can't be checked: {problem}"))?;
    }
    let genuine = |key, statement: &[u8], signature: &[u8]| keys.genuine(key, statement, signature);
    Ok(audit::verify(store, since, genuine).await?)
}

fn tell(report: &Report) -> anyhow::Result<()> {
    for finding in &report.findings {
        print(&finding.to_string())?;
    }
    let mark = report
        .newest
        .as_ref()
        .map_or_else(String::new, ToString::to_string);
    print(&format!(
        "{} entries and {} checkpoints looked at, signed up to entry {}; the newest is {mark}",
        report.entries, report.checkpoints, report.signed_to
    ))?;
    match report.findings.len() {
        0 => Ok(()),
        found => bail!("the audit trail is not as vmscope left it: {found} findings"),
    }
}

async fn accept(file: &KeyFile, reason: &str) -> anyhow::Result<()> {
    let (store, vault) = open(file).await?;
    let report = look(&store, &vault, &Since::default()).await?;
    let signer = match Signer::find_or_make(&vault).await {
        // The master keys were lost, or somebody has broken the secret: that, too, is accepted.
        Err(Error::UnknownKey { .. } | Error::Broken(_)) => Signer::make(&vault).await?,
        found => found?,
    };
    let told: Vec<String> = report
        .findings
        .iter()
        .take(TOLD)
        .map(Finding::to_string)
        .collect();
    // The first signature makes the head usable again, the second one covers the entry that says so.
    sign(&store, &signer).await?;
    let entry = Entry::done("audit.accept").changing(
        None,
        Some(json!({"reason": reason, "findings": report.findings.len(), "first": told})),
    );
    audit::record(&store, &operator(), &entry).await?;
    sign(&store, &signer).await
}

async fn sign(store: &Store, signer: &Signer) -> anyhow::Result<()> {
    let sign = |statement: &[u8]| signer.sign(statement);
    match audit::checkpoint(store, signer.id(), Check::Accepted, sign).await? {
        Checkpoint::Signed(_) | Checkpoint::Unchanged => Ok(()),
        Checkpoint::Elsewhere => bail!("a collector signs at this moment: try again"),
        Checkpoint::Tampered(finding) => bail!("{finding}"),
    }
}
