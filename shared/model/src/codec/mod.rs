//! How ticks become bytes: shared by frames on the wire and records in the agent's buffer.
//!
//! Numbers are LEB128 varints; signed ones are zigzag differences from the last value of the same entity and column
//! (wrapping, so every value can be written). What a reader claims is checked against the limits below before anything
//! is allocated for it.

use crate::{Kind, catalogue};

mod columns;
pub(crate) mod cursor;
pub(crate) mod history;
pub(crate) mod portable;
pub(crate) mod squeeze;
pub(crate) mod tick;

/// The most columns that one kind may have in a session.
pub const MAX_COLUMNS: usize = 256;
/// The most entities that one session may name; a session that needs more starts again.
pub const MAX_ENTITIES: usize = 1 << 16;
/// The most values (entities times columns, 8 bytes each) that one session may remember.
pub const MAX_SESSION_CELLS: usize = 1 << 21;
/// The most bytes of names that one session may remember.
pub const MAX_SESSION_NAME_BYTES: usize = 4 << 20;
/// The most ticks in one frame.
pub const MAX_FRAME_TICKS: usize = 1 << 12;
/// The most rows in one frame or record, all kinds together; the widest of this build takes less than 512 bytes.
pub const MAX_FRAME_ROWS: usize = 1 << 15;
/// The most facts and gaps in one frame or record.
pub const MAX_FRAME_NOTES: usize = 1 << 14;
/// The longest name or other text, in bytes.
pub const MAX_NAME_BYTES: usize = 4096;

/// Why something could not be coded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no message of vmscope.
    #[error("not a vmscope message")]
    Magic,
    /// The peer speaks another version.
    #[error("format version {found} is unknown, this build reads version {known}")]
    Version {
        /// What the bytes say.
        found: u8,
        /// What this build can read.
        known: u8,
    },
    /// The bytes end too early.
    #[error("cut off")]
    Truncated,
    /// More bytes follow than belong there.
    #[error("{bytes} bytes too many at the end")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A limit would be exceeded. A writer may send less at a time, or start a new session.
    #[error("{what} exceeds {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The bytes, or the tick to write, break a rule of the format.
    #[error("invalid {what}")]
    Invalid {
        /// What is wrong.
        what: &'static str,
    },
    /// An earlier failure has ended this session.
    #[error("the session has failed before")]
    Desynchronised,
    /// bincode could not write.
    #[error("cannot serialise")]
    Write(#[source] bincode::error::EncodeError),
    /// bincode could not read.
    #[error("cannot deserialise")]
    Read(#[source] bincode::error::DecodeError),
    /// zstd could not decompress.
    #[error("cannot decompress")]
    Decompress(#[source] std::io::Error),
}

/// The layout of this build's own columns.
pub(crate) fn identity_layout() -> history::Layout {
    Kind::ALL.map(|kind| (0..catalogue::metrics(kind).len()).map(Some).collect())
}
