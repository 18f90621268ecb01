//! Messages between agents, collectors and the web's live feed.
//!
//! A message is the magic `VS`, a version byte and the bincode of [`Message`]; the link puts its length in front. Samples
//! travel as [`Frame`]s, coded against the earlier frames of their session (see [`FrameEncoder`]).
//!
//! Every decoder here is total: no input makes it panic, or allocate more than a small multiple of
//! [`MAX_MESSAGE_BYTES`]. Whatever it refuses ends the session; a peer that reconnects starts from nothing.

mod frame;
mod message;

pub use crate::codec::{
    Error, MAX_COLUMNS, MAX_ENTITIES, MAX_FRAME_NOTES, MAX_FRAME_ROWS, MAX_FRAME_TICKS, MAX_NAME_BYTES,
    MAX_SESSION_CELLS, MAX_SESSION_NAME_BYTES,
};
pub use frame::{FrameDecoder, FrameEncoder};
pub use message::{Columns, Frame, Message, Token};

use crate::codec::portable;
use crate::{Kind, catalogue};

/// The largest message on the wire, and the largest frame before compression, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// What every message begins with.
const MAGIC: [u8; 2] = *b"VS";

/// The only version that this build speaks.
const VERSION: u8 = 1;

/// How this build writes its frames: every kind with all its metrics.
pub fn columns() -> Vec<Columns> {
    let names = |kind| {
        catalogue::metrics(kind)
            .iter()
            .map(|metric| metric.name.to_owned())
            .collect()
    };
    Kind::ALL
        .iter()
        .map(|&kind| Columns {
            kind,
            names: names(kind),
        })
        .collect()
}

/// Writes a message, ready for the link.
///
/// # Errors
/// [`Error::TooLarge`] when it would exceed [`MAX_MESSAGE_BYTES`], so that no decoder refuses what this has written.
pub fn encode(message: &Message) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::from(MAGIC);
    bytes.push(VERSION);
    portable::write(message, &mut bytes)?;
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(Error::TooLarge {
            what: "message",
            limit: MAX_MESSAGE_BYTES,
        });
    }
    Ok(bytes)
}

/// Reads one whole message.
///
/// # Errors
/// When it is not a message of this version, too large, cut off, malformed or followed by more bytes.
pub fn decode(bytes: &[u8]) -> Result<Message, Error> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(Error::TooLarge {
            what: "message",
            limit: MAX_MESSAGE_BYTES,
        });
    }
    let body = bytes.strip_prefix(&MAGIC).ok_or(Error::Magic)?;
    let (&version, body) = body.split_first().ok_or(Error::Truncated)?;
    if version != VERSION {
        return Err(Error::Version {
            found: version,
            known: VERSION,
        });
    }
    let (message, used) = portable::read(body)?;
    if used == body.len() {
        Ok(message)
    } else {
        Err(Error::Trailing {
            bytes: body.len() - used,
        })
    }
}
