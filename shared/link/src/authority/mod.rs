//! The certificate authority of one installation: makes the keys and certificates of agents, collectors and web servers.
//!
//! Keys are P-256. What a certificate may do is said twice, by its role URI and by its extended key usage: collectors are
//! TLS servers, agents and web servers are TLS clients, so no agent can pose as a collector even to a peer that forgets
//! to look at the role. Files are replaced atomically and keys are readable by their owner only.
//!
//! An authority has one key that signs and one or two certificates that are trusted: while its root is being replaced
//! ([`rotate`](Authority::rotate), later [`retire`](Authority::retire)) the old one stands behind the new one in `ca.pem`.

mod rotation;
#[cfg(test)]
mod tests;

use crate::files::{self, PRIVATE_MODE, PUBLIC_MODE, Replace};
use crate::fingerprint::Fingerprint;
use crate::identity::{self, Identity, IdentityFiles};
use crate::role::{self, Role};
use crate::tls::SERVER_NAME;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca.key";
const DAY: Duration = Duration::from_hours(24);
/// How far before its making a certificate is valid, for peers whose clocks are behind.
const CLOCK_SKEW: Duration = Duration::from_hours(1);
/// The most of a certificate's life that may lie before its making, as a divisor.
const SKEW_PART: u32 = 10;
/// Bytes of an uncompressed point on P-256.
const P256_POINT_BYTES: usize = 65;
/// How long an authority's own certificate is valid, in days.
pub const AUTHORITY_DAYS: u32 = 3650;
/// How long a certificate is valid unless said otherwise, in days.
pub const LEAF_DAYS: u32 = 365;

/// Why an authority can't be made, opened or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is an authority in the directory already.
    #[error("{path} exists already and is not overwritten", path = path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// A file can't be read.
    #[error("{path} can't be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file can't be written.
    #[error("{path} can't be written", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The authority's certificate or key can't be understood.
    #[error("the authority's certificate or key is not valid")]
    Parse(#[source] rcgen::Error),
    /// The authority's certificates are no PEM.
    #[error("the authority's certificates are not valid")]
    Roots(#[source] identity::Error),
    /// A request for a certificate can't be understood, or its signature is wrong.
    #[error("the request for a certificate is not valid")]
    Request(#[source] rcgen::Error),
    /// A request for a certificate brings a key of another kind.
    #[error("the request for a certificate brings a key that is not on P-256")]
    RequestKey,
    /// There is no older root to retire.
    #[error("there is one root only: nothing to retire")]
    OneRoot,
    /// A rotation is under way.
    #[error("there are two roots already: retire the older one first")]
    TwoRoots,
    /// The authority's key is not the one of its certificate.
    #[error("the authority's key does not belong to its certificate")]
    KeyMismatch,
    /// A name can't stand in a certificate.
    #[error("name can't stand in a certificate")]
    Name(#[source] role::Error),
    /// A key or certificate can't be made.
    #[error("certificate can't be made")]
    Make(#[source] rcgen::Error),
}

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before this moment.
    pub not_before: SystemTime,
    /// Not after this moment.
    pub not_after: SystemTime,
}

impl Validity {
    /// From now (an hour ago, for clocks that are behind) for `days` days.
    pub fn days(days: u32) -> Self {
        Self::lasting(DAY * days)
    }

    /// From now (somewhat earlier, for clocks that are behind) for `life`.
    pub fn lasting(life: Duration) -> Self {
        let now = SystemTime::now();
        Self {
            not_before: now - CLOCK_SKEW.min(life / SKEW_PART),
            not_after: now + life,
        }
    }
}

impl Default for Validity {
    /// [`LEAF_DAYS`] from now.
    fn default() -> Self {
        Self::days(LEAF_DAYS)
    }
}

/// The authority: its certificates, which everybody has, and its key, which only it has.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The newest first: it is the one that signs.
    roots: Vec<CertificateDer<'static>>,
    ca_pem: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("roots", &self.roots())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority that lives in memory only.
    ///
    /// # Errors
    /// [`Error::Make`] when `name` can't stand in a certificate or no key can be made.
    pub fn create(name: &str) -> Result<Self, Error> {
        let key = new_key()?;
        // Two roots of one name would make peers blame a signature where the authority is unknown.
        let name = format!("{name} {}", short(&key));
        let mut params = params(&name, Validity::days(AUTHORITY_DAYS));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(Error::Make)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            roots: vec![certificate.der().clone()],
            ca_pem: certificate.pem(),
        })
    }

    /// Makes an authority called `name` and keeps it in `directory`, as `ca.pem` and `ca.key`.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is one already, [`Error::Write`] and [`Error::Make`] as they say.
    pub fn init(directory: &Path, name: &str) -> Result<Self, Error> {
        let (certificate, key) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
        if let Some(path) = [&certificate, &key].into_iter().find(|path| path.exists()) {
            return Err(Error::Exists { path: path.clone() });
        }
        let authority = Self::create(name)?;
        fs::create_dir_all(directory).map_err(|source| Error::Write {
            path: directory.to_owned(),
            source,
        })?;
        let key_pem = authority.issuer.key().serialize_pem();
        write(&key, &key_pem, PRIVATE_MODE, Replace::Never)?;
        write(&certificate, &authority.ca_pem, PUBLIC_MODE, Replace::Never)?;
        Ok(authority)
    }

    /// Opens the authority that [`init`](Self::init) left in `directory`.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Roots`], [`Error::Parse`] and [`Error::KeyMismatch`] as they say.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let ca_pem = read(&directory.join(CERTIFICATE_FILE))?;
        let roots = identity::certificates("authority", &ca_pem).map_err(Error::Roots)?;
        let key = rotation::key(directory, &roots[0])?;
        let issuer = Issuer::from_ca_cert_der(&roots[0], key).map_err(Error::Parse)?;
        Ok(Self {
            issuer,
            roots,
            ca_pem,
        })
    }

    /// The files that make up the authority in `directory`.
    pub fn files(directory: &Path) -> [PathBuf; 2] {
        [directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE)]
    }

    /// The certificates that every peer trusts, in PEM; the one that signs comes first.
    pub fn certificate_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The SHA-256 of each of these certificates, in their order.
    pub fn roots(&self) -> Vec<Fingerprint> {
        self.roots.iter().map(|root| Fingerprint::of(root)).collect()
    }

    /// Makes a key and a certificate for `role`.
    ///
    /// # Errors
    /// [`Error::Name`] when the role's name can't be read back from a certificate, [`Error::Make`] when signing fails.
    pub fn issue(&self, role: &Role, validity: Validity) -> Result<Issued, Error> {
        let key = new_key()?;
        let certificate = leaf(role, validity)?
            .signed_by(&key, &self.issuer)
            .map_err(Error::Make)?;
        Ok(Issued {
            ca_pem: self.ca_pem.clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// Signs a certificate for `role` and the key of a request (PKCS #10 in DER). Whatever else the request asks for is
    /// not looked at; its signature shows that its sender has the key.
    ///
    /// # Errors
    /// [`Error::Request`] and [`Error::RequestKey`] when the request is no good; else as [`issue`](Self::issue).
    pub fn sign(&self, request: &[u8], role: &Role, validity: Validity) -> Result<Signed, Error> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
            .map_err(Error::Request)?;
        let key = request.public_key;
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 || key.der_bytes().len() != P256_POINT_BYTES {
            return Err(Error::RequestKey);
        }
        let certificate = leaf(role, validity)?
            .signed_by(&key, &self.issuer)
            .map_err(Error::Make)?;
        Ok(Signed {
            ca_pem: self.ca_pem.clone(),
            certificate_pem: certificate.pem(),
            fingerprint: Fingerprint::of(certificate.der()),
            key: Fingerprint::of(key.der_bytes()),
            root: Fingerprint::of(&self.roots[0]),
            validity,
        })
    }
}

/// A certificate for a key that never left its owner.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The authority's certificates.
    pub ca_pem: String,
    /// The owner's certificate.
    pub certificate_pem: String,
    /// The SHA-256 of that certificate.
    pub fingerprint: Fingerprint,
    /// The SHA-256 of the owner's public key.
    pub key: Fingerprint,
    /// The SHA-256 of the root that signed.
    pub root: Fingerprint,
    /// From when to when it is valid.
    pub validity: Validity,
}

/// What an authority hands to the owner of a role.
#[derive(Clone)]
pub struct Issued {
    /// The authority's certificates.
    pub ca_pem: String,
    /// The owner's certificate.
    pub certificate_pem: String,
    /// The owner's private key.
    pub key_pem: String,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

impl Issued {
    /// Writes the three files, each replaced atomically: the key with mode 0600, the others with 0644.
    ///
    /// # Errors
    /// [`Error::Write`] names the file that can't be written.
    pub fn write(&self, files: &IdentityFiles) -> Result<(), Error> {
        write(&files.key, &self.key_pem, PRIVATE_MODE, Replace::Existing)?;
        write(
            &files.certificate,
            &self.certificate_pem,
            PUBLIC_MODE,
            Replace::Existing,
        )?;
        write(&files.ca, &self.ca_pem, PUBLIC_MODE, Replace::Existing)
    }

    /// The identity without files in between.
    ///
    /// # Errors
    /// Those of [`Identity::from_pem`].
    pub fn identity(&self) -> Result<Identity, identity::Error> {
        Identity::from_pem(&self.ca_pem, &self.certificate_pem, &self.key_pem)
    }
}

/// A fresh key on P-256.
pub(crate) fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Make)
}

/// Eight digits that tell one key from another.
fn short(key: &KeyPair) -> String {
    let mut text = Fingerprint::of(key.der_bytes()).to_string().replace(':', "");
    text.truncate(8);
    text
}

/// What the certificate of `role` says.
fn leaf(role: &Role, validity: Validity) -> Result<CertificateParams, Error> {
    Role::new(role.kind(), &role.name()).map_err(Error::Name)?;
    let mut params = params(&role.name(), validity);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
        .subject_alt_names
        .push(SanType::URI(role.to_string().try_into().map_err(Error::Make)?));
    params.extended_key_usages = match role.kind() {
        role::Kind::Collector => {
            let name = SERVER_NAME.try_into().map_err(Error::Make)?;
            params.subject_alt_names.push(SanType::DnsName(name));
            vec![ExtendedKeyUsagePurpose::ServerAuth]
        }
        role::Kind::Agent | role::Kind::Web => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    Ok(params)
}

fn params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = validity.not_before.into();
    params.not_after = validity.not_after.into();
    params
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, text: &str, mode: u32, replace: Replace) -> Result<(), Error> {
    files::write(path, text, mode, replace).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists if replace == Replace::Never => Error::Exists {
            path: path.to_owned(),
        },
        _ => Error::Write {
            path: path.to_owned(),
            source,
        },
    })
}
