//! The open store and what it holds: counts, bytes and ends, so that bounds can be kept without looking.

use super::Batch;
use super::folder::Mark;
use super::store::{Failure, Item, Store};
use std::path::Path;
use vmscope_model::Position;

/// Records removed between two looks at the store.
const CHUNK: usize = 256;

/// An open store with its account.
pub(super) struct Shelf {
    store: Store,
    records: u64,
    bytes: u64,
    oldest: Option<(Position, i64)>,
    newest: Option<Position>,
}

/// A run of records that should be in a store and are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
    pub(super) ticks: u64,
}

impl Shelf {
    /// Opens the store in `folder` and reads it through, looking for what is missing.
    pub(super) fn open(folder: &Path, mark: Option<Mark>, now_us: i64) -> Result<(Self, Vec<Hole>), Failure> {
        let store = Store::open(folder)?;
        let mut shelf = Self {
            store,
            records: 0,
            bytes: 0,
            oldest: None,
            newest: None,
        };
        let mut survey = Survey {
            mark,
            previous: None,
            holes: Vec::new(),
        };
        let (mut records, mut bytes, mut oldest) = (0, 0, None);
        shelf.store.scan(None, |item| {
            survey.see(&item);
            records += 1;
            bytes += item.bytes();
            oldest.get_or_insert((item.position, item.time_us));
            true
        })?;
        (shelf.records, shelf.bytes, shelf.oldest, shelf.newest) = (
            records,
            bytes,
            oldest,
            survey.previous.map(|(position, _)| position),
        );
        Ok((shelf, survey.finish(now_us)))
    }

    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) const fn oldest(&self) -> Option<(Position, i64)> {
        self.oldest
    }

    pub(super) const fn newest(&self) -> Option<Position> {
        self.newest
    }

    pub(super) fn disk_bytes(&self) -> Result<u64, Failure> {
        self.store.disk_bytes()
    }

    /// Stores records that stand after all others, durably.
    pub(super) fn append(&mut self, items: &[Item]) -> Result<(), Failure> {
        self.store.insert(items)?;
        for item in items {
            self.records += 1;
            self.bytes += item.bytes();
            let end = (item.position, item.time_us);
            self.oldest.get_or_insert(end);
            self.newest = Some(item.position);
        }
        Ok(())
    }

    /// Puts a tombstone where a record can't be read.
    pub(super) fn bury(&mut self, item: &Item) -> Result<(), Failure> {
        let tombstone = Item::tombstone(item.position, item.time_us);
        self.store.insert([&tombstone])?;
        self.bytes = self.bytes.saturating_sub(item.bytes() - tombstone.bytes());
        Ok(())
    }

    /// Takes the oldest record away and gives it.
    pub(super) fn pop(&mut self) -> Result<Option<Item>, Failure> {
        let Some(item) = self.store.next(None)? else {
            return Ok(None);
        };
        self.remove(item.position)?;
        self.look_at_front()?;
        Ok(Some(item))
    }

    /// Removes every record of `upto`'s epoch up to its sequence.
    pub(super) fn release(&mut self, upto: Position) -> Result<(), Failure> {
        let before = Position {
            epoch: upto.epoch,
            sequence: 0,
        };
        loop {
            let mut positions = Vec::new();
            self.store.scan(Some(before), |item| {
                let within = item.position <= upto;
                if within {
                    positions.push(item.position);
                }
                within && positions.len() < CHUNK
            })?;
            for &position in &positions {
                self.remove(position)?;
            }
            if positions.len() < CHUNK {
                return self.look_at_front();
            }
        }
    }

    /// The records after `after`, within `limits`; the first in any case.
    pub(super) fn read(&self, after: Option<Position>, limits: Batch) -> Result<Vec<Item>, Failure> {
        let mut items: Vec<Item> = Vec::new();
        let mut bytes = 0;
        self.store.scan(after, |item| {
            bytes += item.body.len();
            let fits = items.is_empty() || (bytes <= limits.bytes && items.len() < limits.records);
            if fits {
                items.push(item);
            }
            fits
        })?;
        Ok(items)
    }

    /// Writes every record to a fresh store at `folder` and gives it.
    pub(super) fn copy(&self, folder: &Path) -> Result<Self, Failure> {
        let everything = Batch {
            records: usize::MAX,
            bytes: usize::MAX,
        };
        let items = self.read(None, everything)?;
        let (mut copy, _) = Self::open(folder, None, 0)?;
        copy.append(&items)?;
        Ok(copy)
    }

    pub(super) fn abandon(self) {
        self.store.abandon();
    }

    /// Makes removals durable and closes.
    pub(super) fn close(self) -> Result<(), Failure> {
        let flushed = self.store.flush();
        self.store.close();
        flushed
    }

    fn remove(&mut self, position: Position) -> Result<(), Failure> {
        let bytes = self.store.remove(position)?;
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        Ok(())
    }

    fn look_at_front(&mut self) -> Result<(), Failure> {
        self.oldest = self.store.next(None)?.map(|item| (item.position, item.time_us));
        Ok(())
    }
}

/// Compares the sequences found with the ones expected.
struct Survey {
    mark: Option<Mark>,
    previous: Option<(Position, i64)>,
    holes: Vec<Hole>,
}

impl Survey {
    fn see(&mut self, item: &Item) {
        let Position { epoch, sequence } = item.position;
        let (expected, since_us) = match self.previous {
            Some((previous, time_us)) if previous.epoch == epoch => (previous.sequence + 1, time_us),
            // What stood before may have been acknowledged: after a power loss nobody knows how far.
            _ => (sequence, item.time_us),
        };
        if sequence > expected && !item.is_tombstone() {
            self.miss(since_us, item.time_us, sequence - expected);
        }
        self.previous = Some((item.position, item.time_us));
    }

    fn finish(mut self, now_us: i64) -> Vec<Hole> {
        if let Some(mark) = self.mark {
            let (found, since_us) = match self.previous {
                Some((last, time_us)) if last.epoch == mark.epoch => (last.sequence.max(mark.floor), time_us),
                // An epoch is about the time in milliseconds at which it began.
                _ => (
                    mark.floor,
                    i64::try_from(mark.epoch)
                        .unwrap_or(i64::MAX)
                        .saturating_mul(1_000)
                        .min(now_us),
                ),
            };
            if mark.last > found {
                self.miss(since_us, now_us, mark.last - found);
            }
        }
        self.holes
    }

    fn miss(&mut self, from_us: i64, to_us: i64, ticks: u64) {
        self.holes.push(Hole {
            from_us,
            to_us,
            ticks,
        });
    }
}
