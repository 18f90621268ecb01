//! Where the master keys are, and what was read there last.
//!
//! The file is looked at again before anything is sealed and when a secret names a key that is not known, so that keys are
//! generated and retired under running programs. A file that can't be read any more leaves the keys that are known.

use crate::{Error, Keyring};
use serde::Deserialize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The name of the systemd credential.
const CREDENTIAL: &str = "master-keys";

/// The section `[vault]` of a program's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The master key file. Without it, the credential `master-keys` is taken if the service manager passes it.
    pub master_keys: Option<PathBuf>,
}

impl Config {
    /// The file that the configuration or the service manager names.
    pub fn file(&self) -> Option<PathBuf> {
        self.master_keys.clone().or_else(|| {
            let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
            let path = Path::new(&directory).join(CREDENTIAL);
            path.exists().then_some(path)
        })
    }
}

/// What tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

/// A key file that is followed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KeySource {
    path: Arc<Path>,
    known: Arc<RwLock<(Stamp, Arc<Keyring>)>>,
}

impl KeySource {
    /// Reads the file and follows it from now on.
    ///
    /// # Errors
    /// When it is no key file, or others may read it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let stamp = stamp(path)?;
        let ring = Arc::new(Keyring::load(path)?);
        Ok(Self {
            path: path.into(),
            known: Arc::new(RwLock::new((stamp, ring))),
        })
    }

    /// The file that the configuration or the service manager names; nothing when neither does.
    ///
    /// # Errors
    /// When it is no key file, or others may read it.
    pub fn find(config: &Config) -> Result<Option<Self>, Error> {
        config.file().map(|path| Self::open(&path)).transpose()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys as they were read last.
    pub fn known(&self) -> Arc<Keyring> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known.1)
    }

    /// The keys as they are in the file now.
    pub fn present(&self) -> Arc<Keyring> {
        match self.look() {
            Ok(ring) => ring,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "master keys can't be read again: those from before stay in use"
                );
                self.known()
            }
        }
    }

    fn look(&self) -> Result<Arc<Keyring>, Error> {
        let stamp = stamp(&self.path)?;
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.0 == stamp {
                return Ok(Arc::clone(&known.1));
            }
        }
        let ring = Arc::new(Keyring::load(&self.path)?);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = (stamp, Arc::clone(&ring));
        tracing::info!(
            vault.keys = ring.ids().count(),
            "master keys changed and are in use"
        );
        Ok(ring)
    }
}

fn stamp(path: &Path) -> Result<Stamp, Error> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::KeyFile {
        operation: "look at",
        path: path.to_owned(),
        source,
    })?;
    Ok((
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_its_file_and_keeps_what_it_knows_when_that_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master-keys");
        let first = Keyring::generate_into(&path).expect("made");
        let source = KeySource::open(&path).expect("a key file");
        let second = Keyring::generate_into(&path).expect("made");
        assert_eq!(source.known().ids().collect::<Vec<_>>(), [&first]);
        assert_eq!(source.present().ids().collect::<Vec<_>>(), [&second, &first]);
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(source.present().ids().collect::<Vec<_>>(), [&second, &first]);
    }

    #[test]
    fn a_configuration_without_keys_is_none() {
        assert!(
            KeySource::find(&Config::default())
                .expect("nothing to read")
                .is_none()
        );
    }
}
