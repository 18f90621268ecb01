//! What can go wrong with files.

use std::io;
use std::path::PathBuf;

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text that is no key.
    #[error(
        "{0:?} is no key: words of a-z, 0-9, '.', '-' and '_' with '/' between them, none of which begins with a dot"
    )]
    Key(String),
    /// The file system refuses.
    #[error("{} can't be {operation}", path.display())]
    File {
        /// What was tried: `written`, `read`.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::File { source, .. } if full.contains(&source.kind()))
    }
}
