//! The certificate authority of one installation: makes the keys and certificates of agents, collectors and web servers.
//!
//! Keys are P-256. What a certificate may do is said twice, by its role URI and by its extended key usage: collectors are
//! TLS servers, agents and web servers are TLS clients, so no agent can pose as a collector even to a peer that forgets
//! to look at the role. Files are replaced atomically and keys are readable by their owner only.

use crate::identity::{self, Identity, IdentityFiles};
use crate::role::{self, Role};
use crate::tls::SERVER_NAME;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca.key";
const PUBLIC_MODE: u32 = 0o644;
const PRIVATE_MODE: u32 = 0o600;
const DAY: Duration = Duration::from_hours(24);
/// How far before its making a certificate is valid, for peers whose clocks are behind.
const CLOCK_SKEW: Duration = Duration::from_hours(1);
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
        let now = SystemTime::now();
        Self {
            not_before: now - CLOCK_SKEW,
            not_after: now + DAY * days,
        }
    }
}

impl Default for Validity {
    /// [`LEAF_DAYS`] from now.
    fn default() -> Self {
        Self::days(LEAF_DAYS)
    }
}

/// The authority: its certificate, which everybody has, and its key, which only it has.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority that lives in memory only.
    ///
    /// # Errors
    /// [`Error::Make`] when `name` can't stand in a certificate or no key can be made.
    pub fn create(name: &str) -> Result<Self, Error> {
        let key = new_key()?;
        let mut params = params(name, Validity::days(AUTHORITY_DAYS));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key).map_err(Error::Make)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate_pem,
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
        write(
            &key,
            &authority.issuer.key().serialize_pem(),
            PRIVATE_MODE,
            Replace::Never,
        )?;
        write(
            &certificate,
            &authority.certificate_pem,
            PUBLIC_MODE,
            Replace::Never,
        )?;
        Ok(authority)
    }

    /// Opens the authority that [`init`](Self::init) left in `directory`.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Parse`] and [`Error::KeyMismatch`] as they say.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let certificate_pem = read(&directory.join(CERTIFICATE_FILE))?;
        let key = KeyPair::from_pem(&read(&directory.join(KEY_FILE))?).map_err(Error::Parse)?;
        if public_key(&certificate_pem).is_none_or(|public| public != key.subject_public_key_info()) {
            return Err(Error::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(Error::Parse)?;
        Ok(Self {
            issuer,
            certificate_pem,
        })
    }

    /// The authority's certificate, which every peer trusts.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Makes a key and a certificate for `role`.
    ///
    /// # Errors
    /// [`Error::Name`] when the role's name can't be read back from a certificate, [`Error::Make`] when signing fails.
    pub fn issue(&self, role: &Role, validity: Validity) -> Result<Issued, Error> {
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
        let key = new_key()?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(Error::Make)?;
        Ok(Issued {
            ca_pem: self.certificate_pem.clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

/// What an authority hands to the owner of a role.
#[derive(Clone)]
pub struct Issued {
    /// The authority's certificate.
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

fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Make)
}

fn params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = validity.not_before.into();
    params.not_after = validity.not_after.into();
    params
}

/// The subject's public key (DER of `SubjectPublicKeyInfo`) of a certificate in PEM.
fn public_key(certificate_pem: &str) -> Option<Vec<u8>> {
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

#[derive(Debug, Clone, Copy)]
enum Replace {
    Existing,
    Never,
}

/// Writes a whole file or nothing: a temporary one beside it, synced and renamed.
fn write(path: &Path, text: &str, mode: u32, replace: Replace) -> Result<(), Error> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let error = |source: io::Error| match (replace, source.kind()) {
        (Replace::Never, io::ErrorKind::AlreadyExists) => Error::Exists {
            path: path.to_owned(),
        },
        _ => Error::Write {
            path: path.to_owned(),
            source,
        },
    };
    let attempt = || {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        match replace {
            Replace::Existing => file.persist(path),
            Replace::Never => file.persist_noclobber(path),
        }
        .map_err(|failed| failed.error)?;
        File::open(directory)?.sync_all()
    };
    attempt().map_err(error)
}

#[cfg(test)]
mod tests {
    use super::{Authority, Error, Validity};
    use crate::identity::{Identity, IdentityFiles};
    use crate::role::Role;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn collector() -> Role {
        Role::Collector("north".to_owned())
    }

    #[test]
    fn opens_what_it_made_and_never_overwrites_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let made = Authority::init(directory.path(), "test").expect("an authority");
        let key = fs::read(directory.path().join("ca.key")).expect("a key");
        assert!(matches!(
            Authority::init(directory.path(), "other"),
            Err(Error::Exists { .. })
        ));
        assert_eq!(fs::read(directory.path().join("ca.key")).expect("the key"), key);
        let opened = Authority::open(directory.path()).expect("the same authority");
        assert_eq!(opened.certificate_pem(), made.certificate_pem());
        let identity = opened
            .issue(&collector(), Validity::default())
            .expect("signed")
            .identity();
        assert_eq!(*identity.expect("usable").role(), collector());
    }

    #[test]
    fn refuses_a_key_of_another_authority() {
        let (one, two) = (
            tempfile::tempdir().expect("one"),
            tempfile::tempdir().expect("two"),
        );
        Authority::init(one.path(), "one").expect("an authority");
        Authority::init(two.path(), "two").expect("an authority");
        fs::copy(two.path().join("ca.key"), one.path().join("ca.key")).expect("copied");
        assert!(matches!(Authority::open(one.path()), Err(Error::KeyMismatch)));
    }

    #[test]
    fn keeps_keys_from_other_users() {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::init(directory.path(), "test").expect("an authority");
        let files = IdentityFiles::within(&directory.path().join("."));
        let issued = authority
            .issue(&collector(), Validity::default())
            .expect("signed");
        issued.write(&files).expect("written");
        issued.write(&files).expect("replaced");
        let mode = |path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode(directory.path().join("ca.key")), 0o600);
        assert_eq!(mode(files.key.clone()), 0o600);
        assert_eq!(mode(files.certificate.clone()), 0o644);
        assert_eq!(*Identity::load(&files).expect("usable").role(), collector());
        assert!(!format!("{issued:?}").contains("PRIVATE"));
    }

    #[test]
    fn refuses_names_that_could_not_be_read_back() {
        let authority = Authority::create("test").expect("an authority");
        let role = Role::Web("a/b".to_owned());
        assert!(matches!(
            authority.issue(&role, Validity::default()),
            Err(Error::Name(_))
        ));
    }
}
