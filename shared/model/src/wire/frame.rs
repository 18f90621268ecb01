//! Frames: samples coded against the earlier frames of their session.

use super::{Columns, Frame};
use crate::codec::Error;
use crate::{Entity, HostId, Position, Record, Tick};
use std::borrow::Borrow;

/// Writes one host's samples for one session.
#[derive(Debug)]
pub struct FrameEncoder {
    host: HostId,
}

impl FrameEncoder {
    /// A fresh session.
    pub fn new(host: HostId) -> Self {
        Self { host }
    }

    /// Writes records of one epoch, in order.
    ///
    /// # Errors
    /// When a limit is exceeded or a record breaks a rule; the encoder is then as it was before.
    pub fn encode<R: Borrow<Record>>(&mut self, _records: &[(Position, R)]) -> Result<Frame, Error> {
        Ok(Frame {
            host: self.host,
            body: Vec::new(),
        })
    }

    /// As [`encode`](Self::encode), for ticks whose table numbers index `dictionary`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_ticks(
        &mut self,
        _dictionary: &[Entity],
        _ticks: &[(Position, &Tick)],
    ) -> Result<Frame, Error> {
        Ok(Frame {
            host: self.host,
            body: Vec::new(),
        })
    }
}

/// Reads one host's samples of one session.
#[derive(Debug)]
pub struct FrameDecoder {
    entities: Vec<Entity>,
}

impl FrameDecoder {
    /// A fresh session with a sender that writes these columns.
    ///
    /// # Errors
    /// When the columns exceed a limit or name something twice.
    pub fn new(_columns: &[Columns]) -> Result<Self, Error> {
        Ok(Self { entities: Vec::new() })
    }

    /// The session's dictionary so far: what the numbers in decoded tables index.
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// Reads the next frame.
    ///
    /// # Errors
    /// When the frame is damaged or exceeds a limit; the session is then over.
    pub fn decode(&mut self, _frame: &Frame) -> Result<Vec<(Position, Tick)>, Error> {
        Err(Error::Desynchronised)
    }
}
