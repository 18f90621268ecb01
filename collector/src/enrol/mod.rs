//! Who gets a certificate, and who is not let in any more.
//!
//! - [`authority`]: the authority as it is on disk at this moment; a change reaches listener, sessions and agents while
//!   everything runs.
//! - [`desk`]: hosts without a certificate, their tokens, the limit on their attempts.
//! - [`renewal`]: successors of certificates, asked for and given within sessions.
//! - [`gate`]: who is let in, asked at the beginning of each session and again with each revocation.
//!
//! Invariants: a certificate is given out only after its row is committed; a token's use and that row are one transaction;
//! a session whose host or certificate is revoked ends, also while the database is away when it was told before. Neither a
//! token nor a key is ever logged.

pub(crate) mod authority;
pub(crate) mod desk;
pub(crate) mod gate;
mod refusal;
pub(crate) mod renewal;

pub(crate) use refusal::Refusal;

use crate::database::Database;
use crate::metrics::Metrics;
use authority::Seal;
use desk::Limiter;
use std::sync::Arc;
use tokio::sync::watch;
use vmscope_link::{Role, Signed};
use vmscope_model::HostId;
use vmscope_model::wire::Message;
use vmscope_store::certificate::NewCertificate;
use vmscope_store::enrolment::Failure;

/// The authority of this moment; none without one in the configuration.
pub(crate) type Seals = watch::Receiver<Option<Arc<Seal>>>;

/// Gives out certificates.
#[derive(Debug)]
pub(crate) struct Registrar {
    database: Arc<Database>,
    metrics: Metrics,
    seals: Seals,
    limiter: Limiter,
}

impl Registrar {
    pub(crate) fn new(database: Arc<Database>, metrics: Metrics, seals: Seals) -> Self {
        Self {
            database,
            metrics,
            seals,
            limiter: desk::limiter(),
        }
    }

    /// The authority of this moment.
    fn seal(&self) -> Result<Arc<Seal>, Refusal> {
        self.seals.borrow().clone().ok_or(Refusal::AuthorityMissing)
    }
}

/// Signs a request for `host`; gives what is recorded and keeps what is sent in `signed`.
fn sign(
    seal: &Seal,
    host: HostId,
    request: &[u8],
    signed: &mut Option<Signed>,
) -> Result<NewCertificate, vmscope_link::authority::Error> {
    let certificate = seal.sign(&Role::Agent(host), request)?;
    let row = NewCertificate {
        sha256: *certificate.fingerprint.bytes(),
        key_sha256: *certificate.key.bytes(),
        root_sha256: *certificate.root.bytes(),
        expires_at: certificate.validity.not_after,
    };
    *signed = Some(certificate);
    Ok(row)
}

/// What is sent once the row is committed.
fn issued(
    recorded: Result<(), Failure<vmscope_link::authority::Error>>,
    signed: Option<Signed>,
) -> Result<Message, Refusal> {
    recorded?;
    let signed = signed.ok_or(Refusal::NoRequest)?;
    Ok(Message::Issued {
        certificate: signed.certificate_pem,
        authority: signed.ca_pem,
    })
}
