//! A token for a certificate.

use super::{Config, host_id};
use crate::uplink::chain;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vmscope_link::{
    Backoff, Fingerprint, Identity, IdentityFiles, Request, Role, Timing, enrolment, request,
};
use vmscope_model::HostId;
use vmscope_model::wire::{Message, Token};

/// The longest text that is taken for a token.
const MAX_TOKEN_BYTES: u64 = 4 << 10;
/// Bounds of the pause between attempts that may succeed by themselves.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(20));
/// The pause after a refusal that a person has to mend: long enough not to fill the log.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);
/// Codes of refusals that pass.
const PASSING: [&str; 2] = ["too_many_attempts", "database_away"];

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// In a file.
    File(PathBuf),
    /// It comes on standard input.
    StandardInput,
}

impl TokenSource {
    /// What a command line says: a path, or `-` for standard input.
    pub fn parse(text: &str) -> Self {
        match text {
            "-" => Self::StandardInput,
            path => Self::File(path.into()),
        }
    }

    fn read(&self) -> Result<Token, Error> {
        let failed = |source| Error::Token {
            path: self.to_string(),
            source,
        };
        let mut text = String::new();
        match self {
            Self::File(path) => std::fs::File::open(path)
                .map_err(failed)?
                .take(MAX_TOKEN_BYTES)
                .read_to_string(&mut text),
            Self::StandardInput => io::stdin().take(MAX_TOKEN_BYTES).read_to_string(&mut text),
        }
        .map_err(failed)?;
        match text.trim() {
            "" => Err(failed(io::ErrorKind::UnexpectedEof.into())),
            token => Ok(Token(token.to_owned())),
        }
    }
}

impl std::fmt::Display for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::StandardInput => f.write_str("standard input"),
        }
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token can't be read.
    #[error("no token from {path}")]
    Token {
        /// From where.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is not known which host this is.
    #[error("this host's id is not known")]
    HostId(#[from] host_id::Error),
    /// The key or the certificate can't be made or kept.
    #[error("no new identity")]
    Request(#[from] request::Error),
    /// The collector's name has no address.
    #[error("collector's address can't be found")]
    Resolve(#[source] io::Error),
    /// The collector can't be reached or is not the right one.
    #[error("link failed")]
    Link(#[from] vmscope_link::Error),
    /// The collector refuses.
    #[error("collector refuses to enrol this host: {code}, {advice}")]
    Refused {
        /// Stable code for programs.
        code: String,
        /// What a person can do.
        advice: String,
    },
    /// The collector sent something that has no place here.
    #[error("collector broke the protocol")]
    Protocol,
    /// The agent stops.
    #[error("the agent stops")]
    Stopping,
}

impl Error {
    /// Whether the same attempt may succeed later without anyone changing anything.
    fn passes(&self) -> bool {
        match self {
            Self::Resolve(_) => true,
            Self::Link(error) => !matches!(error, vmscope_link::Error::WrongPin { .. }),
            Self::Refused { code, .. } => PASSING.contains(&code.as_str()),
            _ => false,
        }
    }
}

/// What an enrolment needs.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Collector as `host:port`.
    pub collector: String,
    /// SHA-256 of its authority's root.
    pub ca_sha256: Fingerprint,
    /// Where the token is.
    pub token: TokenSource,
    /// The host's UUID, if it is not to be made.
    pub host_id: Option<HostId>,
    /// Where the agent keeps its things.
    pub data_dir: PathBuf,
    /// Where the identity will be.
    pub files: IdentityFiles,
}

impl Exchange {
    /// What the configuration says; nothing without a section `[enrol]`.
    pub fn configured(config: &crate::Config) -> Option<Self> {
        let Config {
            collector,
            ca_sha256,
            token_file,
            host_id,
        } = config.enrol.clone()?;
        Some(Self {
            collector: collector.or_else(|| config.collectors.first().cloned())?,
            ca_sha256,
            token: TokenSource::File(token_file),
            host_id,
            data_dir: config.data_dir.clone(),
            files: config.identity_files(),
        })
    }

    /// Asks once, at each address of the collector until one answers, and keeps the identity.
    ///
    /// # Errors
    /// As [`Error`] says; no file that was there is changed then.
    pub async fn run(&self) -> Result<Identity, Error> {
        let exchange = self.clone();
        let prepared = tokio::task::spawn_blocking(move || exchange.prepare()).await;
        let (host, request, message) = prepared.unwrap_or(Err(Error::Stopping))?;
        let (certificate, authority) = self.ask(&message).await?;
        let kept =
            tokio::task::spawn_blocking(move || request.accept(&Role::Agent(host), &certificate, &authority));
        Ok(kept.await.map_err(|_| Error::Stopping)??)
    }

    fn prepare(&self) -> Result<(HostId, Request, Message), Error> {
        let token = self.token.read()?;
        // A host that was given its certificate by hand has its id from there.
        let certified = Identity::load(&self.files)
            .ok()
            .and_then(|identity| match identity.role() {
                Role::Agent(host) => Some(*host),
                Role::Collector(_) | Role::Web(_) => None,
            });
        let host = host_id::settle(&self.data_dir, self.host_id.or(certified))?;
        let request = Request::prepare(&self.files)?;
        let message = Message::Enrol {
            token,
            host,
            request: request.der().to_vec(),
            software: concat!("vmscope-agent ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        Ok((host, request, message))
    }

    async fn ask(&self, message: &Message) -> Result<(String, String), Error> {
        let addresses = tokio::net::lookup_host(&self.collector)
            .await
            .map_err(Error::Resolve)?;
        let mut failed = Error::Resolve(io::ErrorKind::NotFound.into());
        for address in addresses {
            match enrolment::ask(address, self.ca_sha256, Timing::default(), message).await {
                Ok(Message::Issued {
                    certificate,
                    authority,
                }) => return Ok((certificate, authority)),
                Ok(Message::Refuse { code, advice }) => return Err(Error::Refused { code, advice }),
                Ok(_) => return Err(Error::Protocol),
                Err(error) => failed = error.into(),
            }
        }
        Err(failed)
    }
}

/// Asks until there is a certificate; nothing when the agent stops before.
pub async fn until_enrolled(exchange: &Exchange, stopping: &CancellationToken) -> Option<Identity> {
    let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
    loop {
        let enrolled = tokio::select! {
            enrolled = exchange.run() => enrolled,
            () = stopping.cancelled() => return None,
        };
        let pause = match enrolled {
            Ok(identity) => {
                tracing::info!(identity = %identity.role(), "this host is enrolled");
                return Some(identity);
            }
            Err(Error::Refused { code, advice }) if !PASSING.contains(&code.as_str()) => {
                tracing::error!(
                    collector = exchange.collector,
                    code,
                    advice,
                    "collector refuses to enrol this host"
                );
                REFUSED_PAUSE
            }
            Err(error) if error.passes() => {
                tracing::warn!(
                    collector = exchange.collector,
                    error = chain(&error),
                    "this host is not enrolled yet"
                );
                backoff.next_delay()
            }
            Err(error) => {
                tracing::error!(
                    collector = exchange.collector,
                    error = chain(&error),
                    "this host can't enrol"
                );
                REFUSED_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopping.cancelled() => return None,
        }
    }
}
