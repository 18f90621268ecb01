//! A root takes the place of another while everything runs.
//!
//! `rotate` makes a second root that signs from now on; both are trusted. `retire` ends the trust in the older one. The old
//! root's key goes with the rotation: nothing needs it any more, and a key that is not there can't be stolen.
//!
//! Two files can't be replaced at once: the new key waits as `ca.key.next` until its certificate is in `ca.pem`, and whoever
//! opens the authority in between finds it there.

use super::{Authority, CERTIFICATE_FILE, Error, KEY_FILE, read, write};
use crate::files::{self, PRIVATE_MODE, PUBLIC_MODE, Replace};
use crate::identity;
use rcgen::{KeyPair, PublicKeyData};
use std::path::Path;

const END: &str = "-----END CERTIFICATE-----";

impl Authority {
    /// Makes a second root called `name`, which signs from now on; the old one is still trusted.
    ///
    /// # Errors
    /// [`Error::TwoRoots`] when a rotation is under way; else as [`open`](Self::open) and [`init`](Self::init).
    pub fn rotate(directory: &Path, name: &str) -> Result<Self, Error> {
        let old = Self::open(directory)?;
        if old.roots.len() > 1 {
            return Err(Error::TwoRoots);
        }
        let mut new = Self::create(name)?;
        new.ca_pem.push_str(&old.ca_pem);
        new.roots.extend(old.roots);
        let key = directory.join(KEY_FILE);
        let next = files::next(&key);
        write(
            &next,
            &new.issuer.key().serialize_pem(),
            PRIVATE_MODE,
            Replace::Existing,
        )?;
        write(
            &directory.join(CERTIFICATE_FILE),
            &new.ca_pem,
            PUBLIC_MODE,
            Replace::Existing,
        )?;
        files::rename(&next, &key).map_err(|source| Error::Write { path: key, source })?;
        Ok(new)
    }

    /// Ends the trust in the older root: what it has signed is refused by everyone who learns of it.
    ///
    /// # Errors
    /// [`Error::OneRoot`] when there is no older one; else as [`open`](Self::open) and [`init`](Self::init).
    pub fn retire(directory: &Path) -> Result<Self, Error> {
        let mut authority = Self::open(directory)?;
        if authority.roots.len() == 1 {
            return Err(Error::OneRoot);
        }
        authority.roots.truncate(1);
        if let Some(end) = authority.ca_pem.find(END) {
            authority.ca_pem.truncate(end + END.len());
            authority.ca_pem.push('\n');
        }
        write(
            &directory.join(CERTIFICATE_FILE),
            &authority.ca_pem,
            PUBLIC_MODE,
            Replace::Existing,
        )?;
        Ok(authority)
    }
}

/// The key of the root `certificate`, where it lies or where a rotation that was interrupted has left it.
pub(super) fn key(directory: &Path, certificate: &[u8]) -> Result<KeyPair, Error> {
    let path = directory.join(KEY_FILE);
    let current = KeyPair::from_pem(&read(&path)?).map_err(Error::Parse)?;
    if belongs(&current, certificate) {
        return Ok(current);
    }
    let next = read(&files::next(&path)).map_err(|_| Error::KeyMismatch)?;
    match KeyPair::from_pem(&next) {
        Ok(next) if belongs(&next, certificate) => Ok(next),
        _ => Err(Error::KeyMismatch),
    }
}

fn belongs(key: &KeyPair, certificate: &[u8]) -> bool {
    identity::public_key(certificate).is_some_and(|public| public == key.subject_public_key_info())
}

#[cfg(test)]
mod tests {
    use super::{Authority, Error};
    use crate::authority::Validity;
    use crate::identity::Identity;
    use crate::role::Role;
    use std::fs;

    fn trusts(ca_pem: &str, authority: &Authority) -> bool {
        let issued = authority
            .issue(&Role::Collector("north".to_owned()), Validity::default())
            .expect("signed");
        let identity = Identity::from_pem(ca_pem, &issued.certificate_pem, &issued.key_pem).expect("usable");
        identity.issuer().is_some()
    }

    #[test]
    fn two_roots_are_trusted_until_the_older_one_retires() {
        let directory = tempfile::tempdir().expect("a directory");
        let old = Authority::init(directory.path(), "test").expect("an authority");
        assert!(matches!(Authority::retire(directory.path()), Err(Error::OneRoot)));
        let both = Authority::rotate(directory.path(), "test").expect("rotated");
        assert_eq!(both.roots().len(), 2);
        assert_eq!(both.roots()[1], old.roots()[0]);
        assert!(trusts(both.certificate_pem(), &old) && trusts(both.certificate_pem(), &both));
        assert!(!trusts(old.certificate_pem(), &both), "the new root signs");
        assert!(matches!(
            Authority::rotate(directory.path(), "test"),
            Err(Error::TwoRoots)
        ));
        let opened = Authority::open(directory.path()).expect("opened");
        assert_eq!(opened.roots(), both.roots());
        let new = Authority::retire(directory.path()).expect("retired");
        assert_eq!(new.roots(), both.roots()[..1]);
        assert!(trusts(new.certificate_pem(), &opened) && !trusts(new.certificate_pem(), &old));
        let opened = Authority::open(directory.path()).expect("opened");
        assert_eq!(opened.certificate_pem(), new.certificate_pem());
    }

    /// The power fails after the certificates were replaced and before the key was.
    #[test]
    fn a_rotation_that_was_interrupted_is_complete() {
        let directory = tempfile::tempdir().expect("a directory");
        let key = directory.path().join("ca.key");
        Authority::init(directory.path(), "test").expect("an authority");
        let old_key = fs::read(&key).expect("a key");
        let both = Authority::rotate(directory.path(), "test").expect("rotated");
        fs::rename(&key, directory.path().join("ca.key.next")).expect("renamed");
        fs::write(&key, old_key).expect("written");
        let opened = Authority::open(directory.path()).expect("opened");
        assert!(trusts(both.certificate_pem(), &opened));
        assert!(Authority::retire(directory.path()).is_ok());
        assert!(Authority::rotate(directory.path(), "test").is_ok());
    }
}
