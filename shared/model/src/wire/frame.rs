//! Frames: samples coded against the earlier frames of their session.
//!
//! Both ends start a session empty and learn the same things from each frame: entities are named once, a table with the
//! same rows as the one before says so in a byte, values are differences from the last value of the same entity and
//! column, and the whole is compressed. So frames must be decoded in the order in which they were encoded, all of them.
//!
//! A failed encode leaves the encoder as it was: the caller may try again with fewer records. A failed decode ends the
//! session for good, since the decoder no longer knows what the sender assumes.

use super::{Columns, Frame, MAX_COLUMNS, MAX_FRAME_TICKS, MAX_MESSAGE_BYTES};
use crate::codec::Error;
use crate::codec::cursor::{Cursor, put_count, put_signed};
use crate::codec::history::{History, Layout};
use crate::codec::{identity_layout, squeeze, tick};
use crate::{Entity, HostId, Kind, Position, Record, Tick, catalogue};
use std::borrow::Borrow;
use std::collections::HashMap;

/// The largest uncompressed frame: leaves room for the message around it, stored uncompressed.
const MAX_BODY_BYTES: usize = MAX_MESSAGE_BYTES - 64;

/// Writes one host's samples for one session.
#[derive(Debug)]
pub struct FrameEncoder {
    host: HostId,
    history: History,
    numbers: HashMap<Entity, u32>,
    last: Position,
}

impl FrameEncoder {
    /// A fresh session.
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            history: History::new(identity_layout()),
            numbers: HashMap::new(),
            last: START,
        }
    }

    /// Writes records of one epoch, in order of their positions.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when a limit is exceeded (fewer records, or a fresh session, may do), or when a record breaks
    /// a rule of the format. The encoder is then as it was before.
    pub fn encode<R: Borrow<Record>>(&mut self, records: &[(Position, R)]) -> Result<Frame, Error> {
        self.encode_all(records.iter().map(|(position, record)| {
            let record = record.borrow();
            (*position, record.dictionary.as_slice(), &record.tick)
        }))
    }

    /// As [`encode`](Self::encode), for ticks whose table numbers index one `dictionary`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_ticks(
        &mut self,
        dictionary: &[Entity],
        ticks: &[(Position, &Tick)],
    ) -> Result<Frame, Error> {
        self.encode_all(ticks.iter().map(|&(position, tick)| (position, dictionary, tick)))
    }

    fn encode_all<'a>(
        &mut self,
        ticks: impl ExactSizeIterator<Item = (Position, &'a [Entity], &'a Tick)>,
    ) -> Result<Frame, Error> {
        self.history.save();
        let last = self.last;
        let body = self
            .write(ticks)
            .and_then(|raw| squeeze::squeeze(&raw, MAX_BODY_BYTES));
        if body.is_err() {
            self.history.restore();
            self.numbers
                .retain(|_, number| (*number as usize) < self.history.len());
            self.last = last;
        }
        Ok(Frame {
            host: self.host,
            body: body?,
        })
    }

    fn write<'a>(
        &mut self,
        ticks: impl ExactSizeIterator<Item = (Position, &'a [Entity], &'a Tick)>,
    ) -> Result<Vec<u8>, Error> {
        if ticks.len() > MAX_FRAME_TICKS {
            return Err(Error::TooLarge {
                what: "number of ticks",
                limit: MAX_FRAME_TICKS,
            });
        }
        let mut out = Vec::new();
        let mut budget = tick::Budget::new();
        put_count(&mut out, ticks.len());
        for (index, (position, dictionary, tick)) in ticks.enumerate() {
            if index == 0 {
                put_signed(&mut out, difference(position.epoch, self.last.epoch));
            } else if position.epoch != self.last.epoch || position.sequence <= self.last.sequence {
                return Err(Error::Invalid {
                    what: "order of positions",
                });
            }
            put_signed(&mut out, difference(position.sequence, self.last.sequence));
            self.last = position;
            let mut newcomers = Vec::new();
            let numbered = tick::number_rows(tick, |index| {
                let entity = usize::try_from(index)
                    .ok()
                    .and_then(|index| dictionary.get(index));
                let entity = entity.ok_or(Error::Invalid {
                    what: "entity of a row",
                })?;
                if let Some(&number) = self.numbers.get(entity) {
                    return Ok(number);
                }
                let number = self.history.admit(entity)?;
                self.numbers.insert(entity.clone(), number);
                newcomers.push(entity);
                Ok(number)
            })?;
            tick::write(
                &mut out,
                &mut self.history,
                &newcomers,
                tick,
                numbered,
                &mut budget,
            )?;
        }
        Ok(out)
    }
}

/// Reads one host's samples of one session.
#[derive(Debug)]
pub struct FrameDecoder {
    history: History,
    entities: Vec<Entity>,
    last: Position,
    failed: bool,
}

impl FrameDecoder {
    /// A fresh session with a sender that writes these columns.
    ///
    /// Columns that this build does not have are skipped; columns that the sender does not have are absent.
    ///
    /// # Errors
    /// When there are more than [`MAX_COLUMNS`] of a kind, or a kind or a name is there twice.
    pub fn new(columns: &[Columns]) -> Result<Self, Error> {
        let history = History::new(layout(columns)?);
        Ok(Self {
            history,
            entities: Vec::new(),
            last: START,
            failed: false,
        })
    }

    /// The session's dictionary so far: what the numbers in decoded tables index. Only ever grows.
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// Reads the next frame.
    ///
    /// # Errors
    /// When the frame is damaged or exceeds a limit. The session is then over: every later call fails too.
    pub fn decode(&mut self, frame: &Frame) -> Result<Vec<(Position, Tick)>, Error> {
        if self.failed {
            return Err(Error::Desynchronised);
        }
        let ticks = squeeze::unsqueeze(&frame.body, MAX_BODY_BYTES).and_then(|raw| self.read(&raw));
        self.failed = ticks.is_err();
        ticks
    }

    fn read(&mut self, raw: &[u8]) -> Result<Vec<(Position, Tick)>, Error> {
        let mut cursor = Cursor::new(raw);
        let mut budget = tick::Budget::new();
        let mut ticks = Vec::new();
        for index in 0..cursor.count("number of ticks", MAX_FRAME_TICKS)? {
            if index == 0 {
                self.last.epoch = self.last.epoch.wrapping_add_signed(cursor.signed()?);
            }
            let before = self.last.sequence;
            self.last.sequence = before.wrapping_add_signed(cursor.signed()?);
            if index > 0 && self.last.sequence <= before {
                return Err(Error::Invalid {
                    what: "order of positions",
                });
            }
            let tick = tick::read(&mut cursor, &mut self.history, &mut self.entities, &mut budget)?;
            ticks.push((self.last, tick));
        }
        cursor.finish()?;
        Ok(ticks)
    }
}

/// What the first position of a session is told apart from.
const START: Position = Position {
    epoch: 0,
    sequence: 0,
};

const fn difference(next: u64, before: u64) -> i64 {
    next.wrapping_sub(before).cast_signed()
}

/// Where each of the sender's columns goes.
fn layout(columns: &[Columns]) -> Result<Layout, Error> {
    let mut layout: [Option<Vec<Option<usize>>>; Kind::ALL.len()] = Default::default();
    for Columns { kind, names } in columns {
        if names.len() > MAX_COLUMNS {
            return Err(Error::TooLarge {
                what: "number of columns",
                limit: MAX_COLUMNS,
            });
        }
        let targets: Vec<_> = names.iter().map(|name| catalogue::find(*kind, name)).collect();
        let mut known: Vec<_> = targets.iter().flatten().collect();
        known.sort_unstable();
        if known.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::Invalid {
                what: "columns: a name is there twice",
            });
        }
        if layout[*kind as usize].replace(targets).is_some() {
            return Err(Error::Invalid {
                what: "columns: a kind is there twice",
            });
        }
    }
    Ok(layout.map(Option::unwrap_or_default))
}
