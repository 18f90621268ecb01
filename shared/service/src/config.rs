//! Configuration files: TOML, with errors that say where, and secrets that stay out of logs.
//!
//! That unknown keys are refused is up to the type (`#[serde(deny_unknown_fields)]`). An error never quotes the file's
//! text, because that text may hold a secret.

mod secret;

pub use secret::Secret;

use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("configuration {path} can't be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file's text is no TOML, or not the TOML that this daemon knows.
    #[error("configuration {path}, line {line}, {key}: {problem}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Dotted path of the key (`buffer.max_bytes`), `.` for the whole file.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// Reads the TOML file at `path`.
///
/// # Errors
/// [`Error::Read`] when the file can't be read, [`Error::Parse`] when its text does not fit `T`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text, path)
}

/// Reads TOML text that came from `path`; errors name it.
///
/// # Errors
/// [`Error::Parse`] when the text does not fit `T`.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, Error> {
    let error = |key: String, error: &toml::de::Error| Error::Parse {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line(text, span.start)),
        key,
        problem: error.message().to_owned(),
    };
    let deserializer = toml::Deserializer::parse(text).map_err(|e| error(".".to_owned(), &e))?;
    serde_path_to_error::deserialize(deserializer).map_err(|e| error(e.path().to_string(), e.inner()))
}

fn line(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}
