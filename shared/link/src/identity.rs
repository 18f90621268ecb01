//! One side's certificate, its key, and the authority that it trusts.

use crate::authority::Validity;
use crate::files;
use crate::fingerprint::Fingerprint;
use crate::role::{self, Role};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::parse_x509_certificate;

const DAY_S: u64 = 86_400;
/// Days before its end at which a certificate that nobody renews is spoken of.
const FEW_DAYS: u64 = 30;

/// Where an identity is kept, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFiles {
    /// Certificate of the authority.
    pub ca: PathBuf,
    /// Own certificate.
    pub certificate: PathBuf,
    /// Own private key.
    pub key: PathBuf,
}

impl IdentityFiles {
    /// `ca.pem`, `certificate.pem` and `key.pem` in `directory`.
    pub fn within(directory: &Path) -> Self {
        Self {
            ca: directory.join("ca.pem"),
            certificate: directory.join("certificate.pem"),
            key: directory.join("key.pem"),
        }
    }

    /// Where the key waits for which a certificate is being asked.
    pub(crate) fn next_key(&self) -> PathBuf {
        files::next(&self.key)
    }
}

/// Why an identity can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be read.
    #[error("{path} can't be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// One of the three texts is no PEM of its kind.
    #[error("{part} is not valid PEM")]
    Pem {
        /// Which one: `authority`, `certificate` or `key`.
        part: &'static str,
        /// What is wrong.
        #[source]
        source: pem::Error,
    },
    /// The authority's certificate can't be trusted as one.
    #[error("the authority's certificate is not valid")]
    Authority(#[source] rustls::Error),
    /// The key can't be used, or is not the one of the certificate.
    #[error("the key does not fit the certificate")]
    Key(#[source] rustls::Error),
    /// The certificate does not say who it speaks for.
    #[error("the certificate has no role")]
    Role(#[source] role::Error),
    /// The certificate does not say from when to when it is valid.
    #[error("the certificate has no dates")]
    Dates,
}

/// What one side shows and trusts; clones share the key.
#[derive(Clone)]
pub struct Identity {
    role: Role,
    validity: Validity,
    certified: Arc<CertifiedKey>,
    trust: Trust,
}

/// The authority's certificates.
#[derive(Clone)]
struct Trust {
    store: Arc<RootCertStore>,
    certificates: Arc<[CertificateDer<'static>]>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads an identity from its files. Where the change to a new key was interrupted, the new key is taken.
    ///
    /// # Errors
    /// [`Error::Read`] names the file; else those of [`from_pem`](Self::from_pem).
    pub fn load(files: &IdentityFiles) -> Result<Self, Error> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|source| Error::Read {
                path: path.to_owned(),
                source,
            })
        };
        let (ca, certificate) = (read(&files.ca)?, read(&files.certificate)?);
        match Self::from_pem(&ca, &certificate, &read(&files.key)?) {
            Err(error @ Error::Key(_)) => {
                let next = read(&files.next_key()).map_err(|_| error)?;
                Self::from_pem(&ca, &certificate, &next)
            }
            loaded => loaded,
        }
    }

    /// Makes an identity of PEM texts. Dates are not checked: an expired identity is refused by its peers.
    ///
    /// # Errors
    /// [`Error::Pem`], [`Error::Authority`], [`Error::Key`] and [`Error::Role`] as they say.
    pub fn from_pem(ca: &str, certificate: &str, key: &str) -> Result<Self, Error> {
        let trust = Trust::read(ca)?;
        let chain = certificates("certificate", certificate)?;
        let role = Role::from_certificate(&chain[0]).map_err(Error::Role)?;
        let validity = dates(&chain[0]).ok_or(Error::Dates)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|source| Error::Pem { part: "key", source })?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(Error::Key)?;
        Ok(Self {
            role,
            validity,
            certified: Arc::new(certified),
            trust,
        })
    }

    /// The same side trusting the certificates in the PEM text `ca` and no others.
    ///
    /// # Errors
    /// [`Error::Pem`] and [`Error::Authority`].
    pub fn trusting(&self, ca: &str) -> Result<Self, Error> {
        Ok(Self {
            trust: Trust::read(ca)?,
            ..self.clone()
        })
    }

    /// Who this side is.
    pub const fn role(&self) -> &Role {
        &self.role
    }

    /// From when to when its certificate is valid.
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// How many days are left of its certificate, when they are so few that a person should know.
    pub fn days_left_if_few(&self) -> Option<u64> {
        let left = self.validity.not_after.duration_since(SystemTime::now());
        let days = left.unwrap_or_default().as_secs() / DAY_S;
        (days < FEW_DAYS).then_some(days)
    }

    /// The SHA-256 of its certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certified.cert[0])
    }

    /// One name for all the roots that it trusts: two sides that trust the same have the same.
    pub fn trust(&self) -> Fingerprint {
        Fingerprint::of_all(self.trust.certificates.iter().map(AsRef::as_ref))
    }

    /// The SHA-256 of the trusted root that signed its certificate, if there is one.
    pub fn issuer(&self) -> Option<Fingerprint> {
        let root = self
            .trust
            .certificates
            .iter()
            .find(|root| has_signed(root, &self.certified.cert[0]));
        root.map(|root| Fingerprint::of(root))
    }

    pub(crate) fn certified(&self) -> CertifiedKey {
        CertifiedKey::clone(&self.certified)
    }

    /// The same with the authority's certificates behind its own, for those who know no more than a root's fingerprint.
    pub(crate) fn certified_with_roots(&self) -> CertifiedKey {
        let mut certified = self.certified();
        certified.cert.extend(self.trust.certificates.iter().cloned());
        certified
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.trust.store)
    }
}

impl Trust {
    fn read(ca: &str) -> Result<Self, Error> {
        let certificates = certificates("authority", ca)?;
        let mut store = RootCertStore::empty();
        for root in &certificates {
            store.add(root.clone()).map_err(Error::Authority)?;
        }
        Ok(Self {
            store: Arc::new(store),
            certificates: certificates.into(),
        })
    }
}

/// The subject's public key (DER of `SubjectPublicKeyInfo`).
pub(crate) fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

fn has_signed(root: &[u8], leaf: &[u8]) -> bool {
    let (Ok((_, root)), Ok((_, leaf))) = (parse_x509_certificate(root), parse_x509_certificate(leaf)) else {
        return false;
    };
    leaf.issuer() == root.subject() && leaf.verify_signature(Some(root.public_key())).is_ok()
}

fn dates(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let moment = |seconds: i64| {
        let since_epoch = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(since_epoch)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(since_epoch)
        }
    };
    let validity = certificate.validity();
    Some(Validity {
        not_before: moment(validity.not_before.timestamp())?,
        not_after: moment(validity.not_after.timestamp())?,
    })
}

/// The certificates of a PEM text, at least one.
pub(crate) fn certificates(part: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match list {
        Ok(list) if list.is_empty() => Err(Error::Pem {
            part,
            source: pem::Error::NoItemsFound,
        }),
        Ok(list) => Ok(list),
        Err(source) => Err(Error::Pem { part, source }),
    }
}
