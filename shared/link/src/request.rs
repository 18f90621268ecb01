//! How a host gets a certificate without its key leaving it.
//!
//! The new key is on disk (`key.pem.next`) before anyone is asked to certify it, and the same one is used until an answer has
//! arrived: an answer that was lost on the way is asked for again and costs no second token. What arrives is checked, and
//! then written in an order in which every moment leaves an identity that [`Identity::load`] can read: authority,
//! certificate (from here on the new key counts), key.

use crate::authority::{self, new_key};
use crate::files::{self, PRIVATE_MODE, PUBLIC_MODE, Replace};
use crate::identity::{self, Identity, IdentityFiles};
use crate::role::Role;
use rcgen::{CertificateParams, KeyPair};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no new identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key can't be made.
    #[error("the key can't be made")]
    Key(#[source] authority::Error),
    /// The request can't be made.
    #[error("the request for a certificate can't be made")]
    Make(#[source] rcgen::Error),
    /// A file or its folder can't be written.
    #[error("{path} can't be written", path = path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What came is no identity.
    #[error("the certificate that came can't be used")]
    Identity(#[source] identity::Error),
    /// The certificate is for someone else.
    #[error("the certificate that came is for {0}")]
    Role(Role),
    /// No root that came has signed the certificate.
    #[error("the certificate that came is not signed by a root that came with it")]
    Stranger,
}

/// A key that waits for its certificate.
pub struct Request {
    files: IdentityFiles,
    key: KeyPair,
    der: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Takes the key that waits beside `files.key`, or makes one; makes the folders too.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::Make`] and [`Error::Write`].
    pub fn prepare(files: &IdentityFiles) -> Result<Self, Error> {
        for folder in [&files.ca, &files.certificate, &files.key]
            .into_iter()
            .filter_map(|path| path.parent())
        {
            std::fs::create_dir_all(folder).map_err(|source| Error::Write {
                path: folder.to_owned(),
                source,
            })?;
        }
        settle(files)?;
        let path = files.next_key();
        let waiting = std::fs::read_to_string(&path).ok();
        let key = if let Some(key) = waiting.and_then(|pem| KeyPair::from_pem(&pem).ok()) {
            key
        } else {
            let key = new_key().map_err(Error::Key)?;
            write(&path, &key.serialize_pem(), PRIVATE_MODE)?;
            key
        };
        let request = CertificateParams::default()
            .serialize_request(&key)
            .map_err(Error::Make)?;
        Ok(Self {
            files: files.clone(),
            key,
            der: request.der().to_vec(),
        })
    }

    /// The request as it is sent: PKCS #10 in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Checks what came for `role` and makes it this host's identity, on disk and in hand.
    ///
    /// # Errors
    /// [`Error::Identity`], [`Error::Role`] and [`Error::Stranger`] when what came is no good: nothing is changed then.
    /// [`Error::Write`] when it can't be kept.
    pub fn accept(self, role: &Role, certificate_pem: &str, ca_pem: &str) -> Result<Identity, Error> {
        let key_pem = self.key.serialize_pem();
        let identity = Identity::from_pem(ca_pem, certificate_pem, &key_pem).map_err(Error::Identity)?;
        if identity.role() != role {
            return Err(Error::Role(identity.role().clone()));
        }
        if identity.issuer().is_none() {
            return Err(Error::Stranger);
        }
        let IdentityFiles { ca, certificate, key } = &self.files;
        write(ca, ca_pem, PUBLIC_MODE)?;
        if !key.exists() {
            // The first identity: a key of the name that configurations know has to be there before its certificate.
            write(key, &key_pem, PRIVATE_MODE)?;
        }
        write(certificate, certificate_pem, PUBLIC_MODE)?;
        if self.files.next_key().exists() {
            take_over(&self.files)?;
        } else {
            // Another request of this host used the same key and got its answer first.
            write(key, &key_pem, PRIVATE_MODE)?;
        }
        Ok(identity)
    }
}

/// Ends a change of keys that was interrupted: the key of the present certificate gets its name.
fn settle(files: &IdentityFiles) -> Result<(), Error> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let (ca, certificate) = (read(&files.ca), read(&files.certificate));
    let fits = |key: &Path| Identity::from_pem(&ca, &certificate, &read(key)).is_ok();
    if fits(&files.next_key()) && !fits(&files.key) {
        take_over(files)?;
    }
    Ok(())
}

fn take_over(files: &IdentityFiles) -> Result<(), Error> {
    files::rename(&files.next_key(), &files.key).map_err(|source| Error::Write {
        path: files.key.clone(),
        source,
    })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    files::write(path, text, mode, Replace::Existing).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::{Error, Request};
    use crate::authority::{Authority, Validity};
    use crate::identity::{Identity, IdentityFiles};
    use crate::role::Role;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use vmscope_model::HostId;

    fn role(number: u128) -> Role {
        Role::Agent(HostId(uuid::Uuid::from_u128(number)))
    }

    #[test]
    fn a_request_keeps_its_key_until_the_answer_comes() {
        let folder = tempfile::tempdir().expect("a directory");
        let files = IdentityFiles::within(&folder.path().join("identity"));
        let authority = Authority::create("test").expect("an authority");
        let sign = |request: &Request| {
            authority
                .sign(request.der(), &role(7), Validity::default())
                .expect("signed")
        };
        let first = Request::prepare(&files).expect("a request");
        let lost = sign(&first);
        let again = Request::prepare(&files).expect("a request");
        let signed = sign(&again);
        assert_eq!(signed.key, lost.key);
        let identity = again
            .accept(&role(7), &signed.certificate_pem, &signed.ca_pem)
            .expect("accepted");
        let loaded = Identity::load(&files).expect("loaded");
        assert_eq!(loaded.fingerprint(), identity.fingerprint());
        let mode = fs::metadata(&files.key).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let renewal = Request::prepare(&files).expect("a request");
        assert_ne!(sign(&renewal).key, signed.key, "each certificate has its own key");
    }

    #[test]
    fn refuses_what_it_did_not_ask_for_and_changes_nothing() {
        let folder = tempfile::tempdir().expect("a directory");
        let files = IdentityFiles::within(folder.path());
        let (authority, other) = (
            Authority::create("test").expect("an authority"),
            Authority::create("other").expect("an authority"),
        );
        let request = || Request::prepare(&files).expect("a request");
        let signed = authority
            .sign(request().der(), &role(7), Validity::default())
            .expect("signed");
        let accept = |role: &Role, certificate: &str, ca: &str| request().accept(role, certificate, ca);
        assert!(matches!(
            accept(&role(8), &signed.certificate_pem, &signed.ca_pem),
            Err(Error::Role(_))
        ));
        assert!(matches!(
            accept(&role(7), &signed.certificate_pem, other.certificate_pem()),
            Err(Error::Stranger)
        ));
        let foreign = authority.issue(&role(7), Validity::default()).expect("signed");
        assert!(matches!(
            accept(&role(7), &foreign.certificate_pem, &foreign.ca_pem),
            Err(Error::Identity(_))
        ));
        assert!(!files.certificate.exists() && !files.key.exists());
    }

    /// A renewal and an enrolment by hand at the same moment.
    #[test]
    fn two_requests_at_once_leave_an_identity_that_can_be_read() {
        let folder = tempfile::tempdir().expect("a directory");
        let files = IdentityFiles::within(folder.path());
        let authority = Authority::create("test").expect("an authority");
        let requests = [(); 2].map(|()| Request::prepare(&files).expect("a request"));
        for request in requests {
            let signed = authority.sign(request.der(), &role(7), Validity::default());
            let signed = signed.expect("signed");
            request
                .accept(&role(7), &signed.certificate_pem, &signed.ca_pem)
                .expect("accepted");
            let loaded = Identity::load(&files).expect("loaded");
            assert_eq!(loaded.fingerprint(), signed.fingerprint);
        }
    }

    /// The power fails between the new certificate and the new key.
    #[test]
    fn a_change_of_keys_that_was_interrupted_is_complete() {
        let folder = tempfile::tempdir().expect("a directory");
        let files = IdentityFiles::within(folder.path());
        let authority = Authority::create("test").expect("an authority");
        authority
            .issue(&role(7), Validity::default())
            .expect("signed")
            .write(&files)
            .expect("written");
        let old_key = fs::read(&files.key).expect("a key");
        let request = Request::prepare(&files).expect("a request");
        let signed = authority
            .sign(request.der(), &role(7), Validity::default())
            .expect("signed");
        request
            .accept(&role(7), &signed.certificate_pem, &signed.ca_pem)
            .expect("accepted");
        fs::rename(&files.key, files.next_key()).expect("renamed");
        fs::write(&files.key, old_key).expect("written");
        let loaded = Identity::load(&files).expect("loaded");
        assert_eq!(loaded.fingerprint(), signed.fingerprint);
        Request::prepare(&files).expect("the next request");
        assert_eq!(
            Identity::load(&files).expect("loaded").fingerprint(),
            signed.fingerprint
        );
    }
}
