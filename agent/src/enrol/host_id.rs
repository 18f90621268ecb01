//! Which host this is: a UUID in `host-id` of the data directory, made once and kept for ever.
//!
//! Samples, certificates and tokens name the host by it. A file that holds something else is never replaced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;
use vmscope_model::HostId;

const FILE: &str = "host-id";

/// Why it is not known which host this is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("{path} can't be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file can't be written.
    #[error("{path} can't be written", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} holds no UUID", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Another id was asked for than the host has.
    #[error("this host is {known} ({path}), not {wanted}", path = path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What it says.
        known: HostId,
        /// What was asked for.
        wanted: HostId,
    },
}

/// The id in `data_dir`; when there is none, `wanted` or a fresh one is kept there.
///
/// # Errors
/// As [`Error`] says.
pub fn settle(data_dir: &Path, wanted: Option<HostId>) -> Result<HostId, Error> {
    let path = data_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let known = text.trim().parse();
            let known = known.map_err(|_| Error::Malformed { path: path.clone() })?;
            match wanted {
                Some(wanted) if wanted != known => Err(Error::Other { path, known, wanted }),
                _ => Ok(known),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let host = wanted.unwrap_or_else(|| HostId(Uuid::new_v4()));
            keep(data_dir, &path, host).map_err(|source| Error::Write { path, source })?;
            Ok(host)
        }
        Err(source) => Err(Error::Read { path, source }),
    }
}

fn keep(data_dir: &Path, path: &Path, host: HostId) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    let next = path.with_extension("next");
    let mut file = File::create(&next)?;
    writeln!(file, "{host}")?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{Error, settle};
    use uuid::Uuid;
    use vmscope_model::HostId;

    #[test]
    fn a_host_keeps_its_id_whatever_is_asked_for_later() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let host = settle(&data, None).unwrap();
        assert_eq!(settle(&data, None).unwrap(), host);
        assert_eq!(settle(&data, Some(host)).unwrap(), host);
        let other = HostId(Uuid::from_u128(1));
        assert!(matches!(settle(&data, Some(other)), Err(Error::Other { .. })));
        std::fs::write(data.join("host-id"), "scribble").unwrap();
        assert!(matches!(settle(&data, None), Err(Error::Malformed { .. })));
        assert_eq!(settle(folder.path(), Some(other)).unwrap(), other);
    }
}
