//! The open store and what it holds: counts, bytes and ends, so that bounds can be kept without looking.

use super::Batch;
use super::mark::{Mark, Run};
use super::store::{Failure, Item, Store};
use std::path::Path;
use vmscope_model::{Position, Span};

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

/// Records that should be in a store and are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
    /// Which; `None` when nobody knows.
    pub(super) span: Option<Span>,
}

impl Shelf {
    /// Opens the store in `folder` and reads it through, looking for what is missing.
    pub(super) fn open(folder: &Path, mark: Option<&Mark>) -> Result<(Self, Vec<Hole>), Failure> {
        let store = Store::open(folder)?;
        let mut shelf = Self {
            store,
            records: 0,
            bytes: 0,
            oldest: None,
            newest: None,
        };
        let mut survey = Survey::default();
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
        Ok((shelf, survey.finish(mark)))
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
        let (mut copy, _) = Self::open(folder, None)?;
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
#[derive(Default)]
struct Survey {
    previous: Option<(Position, i64)>,
    /// The last record of each run.
    ends: Vec<(Position, i64)>,
    holes: Vec<Hole>,
}

impl Survey {
    fn see(&mut self, item: &Item) {
        let Position { epoch, sequence } = item.position;
        match self.previous {
            Some((previous, since_us)) if previous.epoch == epoch => {
                if sequence > previous.sequence + 1 && !item.is_tombstone() {
                    let span = Span {
                        epoch,
                        first: previous.sequence + 1,
                        last: sequence - 1,
                    };
                    self.miss(since_us, item.time_us, span);
                }
            }
            // What stood before may have been acknowledged: after a power loss nobody knows how far.
            _ => self.ends.extend(self.previous),
        }
        self.previous = Some((item.position, item.time_us));
    }

    /// Looks for ends that the mark knows and the store does not.
    fn finish(mut self, mark: Option<&Mark>) -> Vec<Hole> {
        self.ends.extend(self.previous);
        for run in mark.map(Mark::runs).unwrap_or_default() {
            let end = self.ends.iter().find(|(last, _)| last.epoch == run.epoch);
            let (found, since_us) = end.map_or_else(
                || (0, run.began_us().min(run.last_us)),
                |(last, time_us)| (last.sequence, *time_us),
            );
            let rest = Run {
                floor: run.floor.max(found),
                ..*run
            };
            if let Some(span) = rest.expected() {
                self.miss(since_us, run.last_us, span);
            }
        }
        self.holes
    }

    fn miss(&mut self, from_us: i64, to_us: i64, span: Span) {
        self.holes.push(Hole {
            from_us,
            to_us,
            span: Some(span),
        });
    }
}
