//! How rows become bytes.

mod csv;
mod json;
mod parquet;
#[cfg(test)]
mod tests;

use crate::{Cell, Column, Error};
use serde::{Deserialize, Serialize};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values (RFC 4180) with a line of headings.
    #[default]
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet, compressed with Snappy.
    Parquet,
}

impl Format {
    /// What the name of a file ends with.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    /// As HTTP says it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Rows in, bytes out.
pub(crate) enum Encoder {
    Csv(csv::Encoder),
    Jsonl(json::Encoder),
    Parquet(Box<parquet::Encoder>),
}

impl Encoder {
    pub(crate) fn new(format: Format, columns: &[Column]) -> Result<Self, Error> {
        Ok(match format {
            Format::Csv => Self::Csv(csv::Encoder::new(columns)),
            Format::Jsonl => Self::Jsonl(json::Encoder::new(columns)),
            Format::Parquet => Self::Parquet(Box::new(parquet::Encoder::new(columns)?)),
        })
    }

    /// What comes before the first row.
    pub(crate) fn begin(&mut self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Csv(encoder) => encoder.headings(),
            // The beginning of a Parquet file comes with its first rows.
            Self::Jsonl(_) | Self::Parquet(_) => Ok(Vec::new()),
        }
    }

    /// Adds rows; gives the bytes that are ready, which may be none yet.
    pub(crate) fn write(&mut self, rows: &[Vec<Cell>]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Csv(_) => csv::lines(rows),
            Self::Jsonl(encoder) => encoder.lines(rows),
            Self::Parquet(encoder) => encoder.write(rows),
        }
    }

    /// The rest.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Csv(_) | Self::Jsonl(_) => Ok(Vec::new()),
            Self::Parquet(encoder) => encoder.finish(),
        }
    }
}
