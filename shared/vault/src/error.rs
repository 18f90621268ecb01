//! What can go wrong with keys and secrets. None of it quotes either.

use std::path::PathBuf;
use uuid::Uuid;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file can't be read or written.
    #[error("{operation} the master key file {path}", path = path.display())]
    KeyFile {
        /// What was tried.
        operation: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than the owner may read the key file.
    #[error("the master key file {path} has mode {mode:04o}: nobody but its owner may have rights (0600)", path = path.display())]
    KeyFileMode {
        /// Where it is.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A line of the key file is no key.
    #[error("{path}:{line}: {problem}", path = path.display())]
    KeyFileLine {
        /// Where it is.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is no key in the key file.
    #[error("the master key file {path} holds no key: vmscope-collector key generate", path = path.display())]
    NoKeys {
        /// Where it is.
        path: PathBuf,
    },
    /// There is no such key in the key file.
    #[error("the master key file {path} has no key {id}", path = path.display())]
    NoSuchKey {
        /// Where it is.
        path: PathBuf,
        /// The key.
        id: String,
    },
    /// The key that everything new is sealed under is not to be removed.
    #[error(
        "master key {id} is the first in its file, which seals everything new: generate another one first"
    )]
    ActiveKey {
        /// The key.
        id: String,
    },
    /// A secret is sealed under a key that is not there.
    #[error("secret {secret} is sealed under master key {key}, which is not in the key file")]
    UnknownKey {
        /// The secret.
        secret: Uuid,
        /// The key.
        key: String,
    },
    /// The first key in the file was retired.
    #[error(
        "master key {id} was retired: give this program the present key file, and start it again if it is a credential"
    )]
    RetiredKey {
        /// The key.
        id: String,
    },
    /// A secret is not there.
    #[error("there is no secret {0}")]
    Missing(Uuid),
    /// A secret was sealed for another purpose, owner or row, or was altered, or is sealed under another key of that name.
    #[error("secret {0} can't be opened: it was altered, or belongs to something else")]
    Broken(Uuid),
    /// Others change the same secret all the time.
    #[error("secret {0} changes too often to be written")]
    Contended(Uuid),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The database failed.
    #[error("secrets can't be reached")]
    Store(#[from] vmscope_store::Error),
}
