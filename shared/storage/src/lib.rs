//! Files that one program makes and another one gives out: exports today.
//!
//! A [`Storage`] hides where they are; a local directory is the first kind. A file is under a [`Key`] whole or not at all: what
//! is being written is an [`Upload`], and only [`Upload::commit`] shows it. What a program leaves behind that dies meanwhile is
//! listed as a part ([`Stored::is_whole`]) and removed under its key like a file.
//!
//! Failure: every function returns [`Error`]; [`Error::is_full`] says whether there is no room.

mod error;
mod key;
mod local;

pub use error::Error;
pub use key::Key;

use bytes::Bytes;
use serde::Deserialize;
use std::path::PathBuf;

/// Where files are, in a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A directory that the programs share. Without it nothing is stored.
    pub dir: Option<PathBuf>,
}

/// A place for files.
#[derive(Debug, Clone)]
pub struct Storage(Backend);

/// The kinds of places.
#[derive(Debug, Clone)]
enum Backend {
    Local(local::Directory),
}

/// A file that is there, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Under which key.
    pub key: Key,
    /// How big it is.
    pub size_bytes: u64,
    /// It was committed; otherwise somebody writes it, or died while he did.
    pub is_whole: bool,
}

impl Storage {
    /// The place that a configuration names, if it names one. Nothing is touched yet.
    pub fn find(config: &Config) -> Option<Self> {
        let directory = config.dir.clone().map(local::Directory::new)?;
        Some(Self(Backend::Local(directory)))
    }

    /// Begins a file.
    ///
    /// # Errors
    /// When the place can't be written to.
    pub async fn create(&self, key: &Key) -> Result<Upload, Error> {
        match &self.0 {
            Backend::Local(directory) => directory.create(key).await.map(Writing::Local).map(Upload),
        }
    }

    /// Opens a file; none when there is no whole one.
    ///
    /// # Errors
    /// When the place can't be read.
    pub async fn open(&self, key: &Key) -> Result<Option<Download>, Error> {
        match &self.0 {
            Backend::Local(directory) => {
                let opened = directory.open(key).await?;
                Ok(opened.map(Reading::Local).map(Download))
            }
        }
    }

    /// Removes a file, and what was begun of one, under a key.
    ///
    /// # Errors
    /// When the place can't be written to.
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        match &self.0 {
            Backend::Local(directory) => directory.delete(key).await,
        }
    }

    /// Everything in a folder of keys, in no order. Files that are none of ours are left out.
    ///
    /// # Errors
    /// When the place can't be read.
    pub async fn list(&self, folder: &str) -> Result<Vec<Stored>, Error> {
        match &self.0 {
            Backend::Local(directory) => directory.list(folder).await,
        }
    }
}

/// A file that is being written; dropped before its commit, it is as if it had never been begun.
#[derive(Debug)]
pub struct Upload(Writing);

#[derive(Debug)]
enum Writing {
    Local(local::Writing),
}

impl Upload {
    /// Adds to its end.
    ///
    /// # Errors
    /// When it can't be written; the file is of no use any more.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.0 {
            Writing::Local(file) => file.write(bytes).await,
        }
    }

    /// Shows the file, when it is safe on disk; gives its size.
    ///
    /// # Errors
    /// When it can't be made safe; there is no file then.
    pub async fn commit(self) -> Result<u64, Error> {
        match self.0 {
            Writing::Local(file) => file.commit().await,
        }
    }
}

/// A file that is being read.
#[derive(Debug)]
pub struct Download(Reading);

#[derive(Debug)]
enum Reading {
    Local(local::Reading),
}

impl Download {
    /// How big the file is.
    pub const fn size_bytes(&self) -> u64 {
        match &self.0 {
            Reading::Local(file) => file.size_bytes(),
        }
    }

    /// The next bytes, some tens of kilobytes; none at the end.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.0 {
            Reading::Local(file) => file.next().await,
        }
    }
}
