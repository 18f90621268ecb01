//! Lists and history as files: CSV, JSON lines and Parquet, made piece by piece.
//!
//! A [`Spec`] says what is asked for and can be written down; with somebody's rights it becomes a [`Source`] of rows, and with a
//! [`Format`] an [`Export`], which gives the file's bytes a piece at a time. The web service sends them as they come, a collector
//! writes them into storage: both make the same file.
//!
//! Invariants: rights are looked at when a spec is opened, never written down with it. Memory does not grow with the file: a
//! batch of rows, for Parquet a row group. A cell of CSV that a person may have written is never a formula.
//!
//! Failure: an [`Error`] ends an export; what has been given out of it by then is no whole file.

mod column;
mod error;
mod format;
mod source;
mod spec;

pub use column::{Cell, Column, ColumnKind};
pub use error::Error;
pub use format::Format;
pub use source::{Entities, HistoryQuery, Source};
pub use spec::{List, Spec};

use format::Encoder;

/// A file that is being made.
pub struct Export {
    source: Source,
    encoder: Option<Encoder>,
    rows: u64,
    began: bool,
}

impl Export {
    /// Begins a file with the rows of `source`.
    ///
    /// # Errors
    /// When the columns can't be written in this format.
    pub fn new(source: Source, format: Format) -> Result<Self, Error> {
        let encoder = Encoder::new(format, source.columns())?;
        Ok(Self {
            source,
            encoder: Some(encoder),
            rows: 0,
            began: false,
        })
    }

    /// Rows that are in the pieces so far.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that the file will have, as far as that can be known before: asks the database.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn total(&self) -> Result<Option<u64>, Error> {
        self.source.total().await
    }

    /// The next piece of the file; none after the last one.
    ///
    /// # Errors
    /// When rows can't be read or written.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        while let Some(encoder) = &mut self.encoder {
            let mut piece = if self.began {
                Vec::new()
            } else {
                self.began = true;
                encoder.begin()?
            };
            match self.source.next().await? {
                Some(rows) => {
                    piece.extend(encoder.write(&rows)?);
                    self.rows += rows.len() as u64;
                }
                None => {
                    if let Some(encoder) = self.encoder.take() {
                        piece.extend(encoder.finish()?);
                    }
                }
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}
