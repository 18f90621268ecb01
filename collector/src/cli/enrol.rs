//! `vmscope-collector enrol token`: the tokens by which hosts enrol.

use super::{ConfigFile, moment, operator, print, table};
use crate::enrol::authority::Standing;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use std::time::Duration;
use vmscope_link::{Identity, Token};
use vmscope_model::HostId;
use vmscope_store::audit::{self, Entry};
use vmscope_store::enrolment::{self, NewToken};

/// The longest that a token may be good for.
const LONGEST_TTL: Duration = Duration::from_hours(365 * 24);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tokens: what a host without a certificate shows to get one.
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, with the SHA-256 that agents need for --ca-sha256. It is not shown again.
    Create(Create),
    /// List tokens, without their secrets.
    List(ConfigFile),
    /// End a token before its time.
    Revoke {
        /// The part between the underscores.
        id: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    file: ConfigFile,
    /// How long it can be used: a number and s, m, h or d.
    #[arg(long, default_value = "1h", value_parser = duration)]
    ttl: Duration,
    /// How many hosts may use it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    uses: i32,
    /// What it is for, in your words.
    #[arg(long, default_value = "")]
    label: String,
    /// For this host only. It may be known already, or revoked: its earlier certificates are revoked when it enrols.
    #[arg(long, value_name = "UUID")]
    host: Option<HostId>,
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    let Command::Token(command) = command;
    match command {
        TokenCommand::Create(options) => create(&options).await,
        TokenCommand::List(file) => list(&file).await,
        TokenCommand::Revoke { id, file } => {
            let store = file.store().await?;
            if !enrolment::revoke_token(&store, &id).await? {
                bail!("there is no token {id}");
            }
            let entry = Entry::done("enrolment_token.revoke").on("enrolment_token", &id, "");
            audit::record(&store, &operator(), &entry).await?;
            Ok(())
        }
    }
}

async fn create(options: &Create) -> anyhow::Result<()> {
    let config = options.file.load()?;
    if config.authority.is_none() {
        bail!("this collector signs no certificates: its configuration has no [authority]");
    }
    let standing = Standing::new(Identity::load(&config.identity)?, config.authority.as_ref())?;
    // While a root takes the place of another, the one that agents meet is the one that signed this collector's certificate.
    let root = standing.identity.issuer().context("a root")?;
    let token = Token::generate()?;
    let row = NewToken {
        id: token.id().to_owned(),
        secret_sha256: *token.digest().bytes(),
        label: options.label.clone(),
        host: options.host,
        uses_allowed: options.uses,
        ttl: options.ttl,
    };
    let store = options.file.store().await?;
    let expires_at = enrolment::create_token(&store, &row).await?;
    let after = json!({
        "uses": row.uses_allowed,
        "host": row.host.map(|host| host.to_string()),
        "expires_at": expires_at.to_string(),
    });
    let entry = Entry::done("enrolment_token.create")
        .on("enrolment_token", &row.id, &row.label)
        .changing(None, Some(after));
    audit::record(&store, &operator(), &entry).await?;
    print(&table(&[
        vec!["token:".to_owned(), token.expose()],
        vec!["ca-sha256:".to_owned(), root.to_string()],
        vec!["expires:".to_owned(), moment(Some(expires_at))],
    ]))
}

async fn list(file: &ConfigFile) -> anyhow::Result<()> {
    let head = ["ID", "STATE", "USES", "EXPIRES", "HOST", "LABEL"];
    let mut rows = vec![head.map(ToOwned::to_owned).to_vec()];
    for token in enrolment::list_tokens(&file.store().await?).await? {
        let state = match &token {
            token if token.revoked => "revoked",
            token if token.expired => "expired",
            token if token.uses >= token.uses_allowed => "used up",
            _ => "good",
        };
        rows.push(vec![
            token.id,
            state.to_owned(),
            format!("{}/{}", token.uses, token.uses_allowed),
            moment(Some(token.expires_at)),
            token
                .host
                .map_or_else(|| "any".to_owned(), |host| host.to_string()),
            token.label,
        ]);
    }
    print(&table(&rows))
}

fn duration(text: &str) -> Result<Duration, String> {
    let malformed = || format!("{text:?} is not a number and one of s, m, h, d");
    let unit = text.chars().last().ok_or_else(malformed)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(malformed()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| malformed())?;
    let duration = Duration::from_secs(number.saturating_mul(seconds));
    if duration.is_zero() || duration > LONGEST_TTL {
        return Err(format!("{text:?} is not between 1s and 365d"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn reads_a_number_and_its_unit() {
        for (text, seconds) in [("1s", 1), ("90m", 5_400), ("1h", 3_600), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "h",
            "1",
            "1w",
            "-1h",
            "0s",
            "366d",
            "1ä",
            "99999999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
