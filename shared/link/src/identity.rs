//! One side's certificate, its key, and the authority that it trusts.

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
}

/// What one side shows and trusts; clones share the key.
#[derive(Clone)]
pub struct Identity {
    role: Role,
    certified: Arc<CertifiedKey>,
    roots: Arc<RootCertStore>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads an identity from its files.
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
        Self::from_pem(&read(&files.ca)?, &read(&files.certificate)?, &read(&files.key)?)
    }

    /// Makes an identity of PEM texts. Dates are not checked: an expired identity is refused by its peers.
    ///
    /// # Errors
    /// [`Error::Pem`], [`Error::Authority`], [`Error::Key`] and [`Error::Role`] as they say.
    pub fn from_pem(ca: &str, certificate: &str, key: &str) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for root in certificates("authority", ca)? {
            roots.add(root).map_err(Error::Authority)?;
        }
        let chain = certificates("certificate", certificate)?;
        let role = Role::from_certificate(chain.first().map_or(&[], |leaf| leaf)).map_err(Error::Role)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|source| Error::Pem { part: "key", source })?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(Error::Key)?;
        Ok(Self {
            role,
            certified: Arc::new(certified),
            roots: Arc::new(roots),
        })
    }

    /// Who this side is.
    pub const fn role(&self) -> &Role {
        &self.role
    }

    pub(crate) fn certified(&self) -> CertifiedKey {
        CertifiedKey::clone(&self.certified)
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }
}

/// The certificates of a PEM text, at least one.
fn certificates(part: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
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
