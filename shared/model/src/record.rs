//! Records as the agent's buffer stores them: each stands alone, and a damaged one is never taken for a good one.
//!
//! A version byte, the CRC-32 of what follows, and the compressed body: how many columns each kind had, and the tick with
//! its dictionary. Columns are told by their place alone, which the [catalogue](crate::catalogue) keeps stable, so that a
//! record written before an upgrade can be read after it.

use crate::codec::cursor::{Cursor, put_count};
use crate::codec::history::History;
use crate::codec::{identity_layout, squeeze, tick};
use crate::wire::{MAX_COLUMNS, MAX_MESSAGE_BYTES};
use crate::{Kind, Record, catalogue, wire};

/// The only version that this build reads and writes.
const VERSION: u8 = 1;

/// The largest record before compression: what surely fits into a frame.
const MAX_RECORD_BYTES: usize = MAX_MESSAGE_BYTES / 2;

/// Why a stored record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes end too early.
    #[error("record is cut off")]
    Truncated,
    /// Another build wrote it.
    #[error("record version {found} is unknown, this build reads version {VERSION}")]
    Version {
        /// What the bytes say.
        found: u8,
    },
    /// The bytes are not what was written.
    #[error("record is damaged: its checksum differs")]
    Checksum,
    /// The record breaks a rule or a limit of the format.
    #[error("record cannot be coded")]
    Codec(#[from] wire::Error),
}

/// Writes a record that stands alone.
///
/// # Errors
/// When it exceeds a limit or breaks a rule of the format.
pub fn encode(record: &Record) -> Result<Vec<u8>, Error> {
    let mut raw = Vec::new();
    for kind in Kind::ALL {
        put_count(&mut raw, catalogue::metrics(kind).len());
    }
    let mut history = History::new(identity_layout());
    for entity in &record.dictionary {
        history.admit(entity)?;
    }
    let newcomers: Vec<_> = record.dictionary.iter().collect();
    let numbered = tick::number_rows(&record.tick, Ok)?;
    let mut budget = tick::Budget::new();
    tick::write(
        &mut raw,
        &mut history,
        &newcomers,
        &record.tick,
        numbered,
        &mut budget,
    )?;
    let body = squeeze::squeeze(&raw, MAX_RECORD_BYTES)?;
    Ok([&[VERSION], crc32fast::hash(&body).to_le_bytes().as_slice(), &body].concat())
}

/// Reads what [`encode`] wrote, in this build or in an older one: columns that did not exist then are absent.
///
/// # Errors
/// When a single bit differs from what was written, or another version wrote it.
pub fn decode(bytes: &[u8]) -> Result<Record, Error> {
    let (&version, rest) = bytes.split_first().ok_or(Error::Truncated)?;
    if version != VERSION {
        return Err(Error::Version { found: version });
    }
    let (checksum, body) = rest.split_first_chunk().ok_or(Error::Truncated)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return Err(Error::Checksum);
    }
    Ok(read(&squeeze::unsqueeze(body, MAX_RECORD_BYTES)?)?)
}

fn read(raw: &[u8]) -> Result<Record, wire::Error> {
    let mut cursor = Cursor::new(raw);
    let mut layout = identity_layout();
    for targets in &mut layout {
        // Of a newer build's columns, the first are those that this build knows.
        targets.resize(cursor.count("number of columns", MAX_COLUMNS)?, None);
    }
    let mut history = History::new(layout);
    let mut record = Record::default();
    let mut budget = tick::Budget::new();
    record.tick = tick::read(&mut cursor, &mut history, &mut record.dictionary, &mut budget)?;
    cursor.finish()?;
    Ok(record)
}
