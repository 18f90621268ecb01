//! The buffer's thread: what goes in, what comes out, what has to go.
//!
//! Order is everything here, because a collector drops what stands at or below its progress mark: records in memory are
//! newer than all records on disk, so they are not given out while a store that can't be read may hold older ones.

use super::account::Account;
use super::disk::Disk;
use super::losses::Losses;
use super::ring::Ring;
use super::shelf::Shelf;
use super::store::Item;
use super::{Batch, Config, Error, Recovery, Request, Status};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use tokio::sync::{oneshot, watch};
use vmscope_model::{Cause, Position, Record, record};

/// Appends between two looks at the size of the store's files.
const REBUILD_CHECK: u64 = 128;

pub(super) struct Keeper {
    config: Config,
    disk: Disk,
    ring: Ring,
    /// The last record that the ring dropped, while the disk has not been told.
    dropped: Option<Item>,
    losses: Losses,
    account: Option<Account>,
    sequence: u64,
    /// The highest acknowledged sequence of each epoch: removals that the disk did not take are not seen again.
    acknowledged: BTreeMap<u64, u64>,
    told: watch::Sender<Status>,
}

impl Keeper {
    pub(super) fn open(path: &Path, config: &Config) -> Result<(Self, Recovery), Error> {
        let (disk, quarantined, before) = Disk::open(path)?;
        let mut keeper = Self {
            config: config.clone(),
            disk,
            ring: Ring::new(config.memory_ring_bytes),
            dropped: None,
            losses: Losses::default(),
            account: config.account_path.as_deref().and_then(open_account),
            sequence: 0,
            acknowledged: BTreeMap::new(),
            told: watch::Sender::default(),
        };
        keeper.note_damage();
        keeper.told.send_replace(keeper.status());
        let recovery = Recovery {
            records: keeper.disk.shelf().map_or(0, Shelf::records),
            quarantined,
            lost: keeper.losses.counted().corruption,
            on_disk: keeper.disk.shelf().is_some(),
            before,
        };
        Ok((keeper, recovery))
    }

    pub(super) fn epoch(&self) -> u64 {
        self.disk.epoch()
    }

    pub(super) fn status(&self) -> Status {
        let stored = self.disk.shelf();
        let on_disk = stored.and_then(Shelf::oldest).map(|(_, time_us)| time_us);
        Status {
            bytes: stored.map_or(0, Shelf::bytes),
            disk_bytes: self.disk.bytes(),
            records: stored.map_or(0, Shelf::records) + self.ring.len(),
            in_memory: self.ring.len(),
            oldest_us: on_disk.or_else(|| self.ring.front().map(|item| item.time_us)),
            newest: (self.sequence > 0).then(|| self.newest()),
            lost: self.losses.counted(),
        }
    }

    /// Is told of every change before the request that made it is answered.
    pub(super) fn subscribe(&self) -> watch::Receiver<Status> {
        self.told.subscribe()
    }

    /// Answers a request; breaks when it was the last one.
    pub(super) fn serve(&mut self, request: Request) -> ControlFlow<()> {
        match request {
            Request::Append { record, reply } => {
                let position = self.append(record);
                self.answer(reply, position);
            }
            Request::Peek { after, limits, reply } => {
                let records = self.peek(after, limits);
                self.answer(reply, records);
            }
            Request::Acknowledge { upto, reply } => {
                self.acknowledge(upto);
                self.answer(reply, ());
            }
            Request::Discard { position, reply } => {
                self.discard(position);
                self.answer(reply, ());
            }
            Request::Close { reply } => {
                self.close();
                self.answer(reply, ());
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn answer<T>(&mut self, reply: oneshot::Sender<T>, value: T) {
        self.note_damage();
        let status = self.status();
        self.told
            .send_if_modified(|known| std::mem::replace(known, status.clone()) != status);
        // A caller that no longer waits is no reason not to have done it.
        _ = reply.send(value);
    }

    fn newest(&self) -> Position {
        Position {
            epoch: self.disk.epoch(),
            sequence: self.sequence,
        }
    }

    fn append(&mut self, mut record: Record) -> Result<Position, Error> {
        self.evict_old(record.tick.time_us);
        self.losses.tell(&mut record);
        self.sequence += 1;
        let position = self.newest();
        let body = match record::encode(&record) {
            Ok(body) => body,
            Err(error) => {
                self.losses.add_record(Cause::BufferFull, position, record);
                return Err(Error::Encode(error));
            }
        };
        let item = Item {
            position,
            time_us: record.tick.time_us,
            body,
        };
        if let Some(account) = &self.account {
            account.begin(item.position, &record);
        }
        self.evict_large(item.bytes());
        // Memory is the way in; from there everything goes on to disk at once, in order, if the disk takes it.
        self.ring.push(item);
        self.settle();
        if let Some(account) = self.account.as_ref().filter(|_| self.ring.len() == 0) {
            account.took(self.newest());
        }
        for item in self.ring.trim() {
            self.lose(Cause::BufferFull, &item);
            self.dropped = Some(item);
        }
        Ok(self.newest())
    }

    /// Moves what is in memory to disk, if the disk takes it.
    fn settle(&mut self) {
        self.disk.reopen();
        if self.disk.shelf().is_none() {
            return;
        }
        let gone = self
            .dropped
            .as_ref()
            .map(|item| Item::tombstone(item.position, item.time_us));
        let items: Vec<Item> = gone.into_iter().chain(self.ring.iter().cloned()).collect();
        if !self.disk.append(&items) {
            return;
        }
        if self.ring.len() > 1 {
            tracing::info!(
                buffer.records = self.ring.len(),
                "buffer moved records from memory to disk"
            );
        }
        self.ring.clear();
        self.dropped = None;
        if self.sequence.is_multiple_of(REBUILD_CHECK) {
            self.disk.rebuild();
        }
    }

    fn peek(&mut self, mut after: Option<Position>, limits: Batch) -> Vec<(Position, Record)> {
        self.disk.reopen();
        loop {
            let items = self.read(after, limits);
            let Some(last) = items.last().map(|item| item.position) else {
                return Vec::new();
            };
            let records: Vec<_> = items.into_iter().filter_map(|item| self.decode(&item)).collect();
            if !records.is_empty() {
                return records;
            }
            // Nothing but tombstones and the like: what follows them may be whole.
            after = Some(last);
        }
    }

    fn read(&mut self, after: Option<Position>, limits: Batch) -> Vec<Item> {
        if self.disk.is_hidden() {
            return Vec::new();
        }
        let items = self
            .disk
            .with(|shelf| shelf.read(after, limits))
            .unwrap_or_default();
        if items.is_empty() {
            self.ring.read(after, limits)
        } else {
            items
        }
    }

    fn decode(&mut self, item: &Item) -> Option<(Position, Record)> {
        let Position { epoch, sequence } = item.position;
        if item.is_tombstone()
            || self
                .acknowledged
                .get(&epoch)
                .is_some_and(|&upto| sequence <= upto)
        {
            return None;
        }
        match record::decode(&item.body) {
            Ok(record) => Some((item.position, record)),
            Err(error) => {
                tracing::error!(record.epoch = epoch, record.sequence = sequence, %error, "buffer dropped a damaged record");
                self.bury(item);
                None
            }
        }
    }

    fn bury(&mut self, item: &Item) {
        self.losses
            .add_one(Cause::Corruption, item.position, item.time_us);
        self.disk.with(|shelf| shelf.bury(item));
    }

    fn discard(&mut self, position: Position) {
        let before = Position {
            epoch: position.epoch,
            sequence: position.sequence.saturating_sub(1),
        };
        let first = Batch { records: 1, bytes: 0 };
        if let Some(item) = self
            .read(Some(before), first)
            .first()
            .filter(|item| item.position == position)
        {
            self.bury(item);
        }
    }

    fn acknowledge(&mut self, upto: Position) {
        let known = self.acknowledged.entry(upto.epoch).or_default();
        *known = upto.sequence.max(*known);
        while self
            .ring
            .front()
            .is_some_and(|item| item.position.epoch == upto.epoch && item.position <= upto)
        {
            self.ring.pop();
        }
        self.raise_floor(upto);
        self.disk.with(|shelf| shelf.release(upto));
    }

    /// Drops the oldest records until `more` bytes fit.
    fn evict_large(&mut self, more: u64) {
        let max_bytes = self.config.max_bytes;
        self.evict(Cause::EvictedBySize, |shelf| shelf.bytes() + more > max_bytes);
    }

    fn evict_old(&mut self, now_us: i64) {
        let max_age_us = i64::try_from(self.config.max_age().as_micros()).unwrap_or(i64::MAX);
        let least_us = now_us.saturating_sub(max_age_us);
        self.evict(Cause::EvictedByAge, |shelf| {
            shelf.oldest().is_some_and(|(_, time_us)| time_us < least_us)
        });
    }

    fn evict(&mut self, cause: Cause, due: impl Fn(&Shelf) -> bool) {
        while let Some((oldest, _)) = self
            .disk
            .shelf()
            .filter(|shelf| due(shelf))
            .and_then(Shelf::oldest)
        {
            self.raise_floor(oldest);
            match self.disk.with(Shelf::pop).flatten() {
                Some(item) if item.is_tombstone() => {}
                Some(item) => self.lose(cause, &item),
                None => return,
            }
        }
    }

    fn raise_floor(&mut self, upto: Position) {
        // Of this run nothing can leave that was not taken; of earlier ones the mark knows the end.
        let own = upto.epoch == self.epoch();
        let sequence = if own {
            upto.sequence.min(self.sequence)
        } else {
            upto.sequence
        };
        self.disk.raise_floor(Position { sequence, ..upto });
    }

    fn lose(&mut self, cause: Cause, item: &Item) {
        match record::decode(&item.body) {
            Ok(record) => self.losses.add_record(cause, item.position, record),
            Err(_) => self.losses.add_one(cause, item.position, item.time_us),
        }
    }

    fn note_damage(&mut self) {
        for hole in self.disk.take_holes() {
            self.losses
                .add(Cause::Corruption, hole.from_us, hole.to_us, hole.span);
        }
    }

    fn close(&mut self) {
        self.disk.hurry();
        self.settle();
        if self.ring.len() > 0 {
            tracing::error!(
                buffer.records = self.ring.len(),
                "buffer ends with records that the disk did not take"
            );
        }
        self.disk.close(self.ring.len() == 0);
    }
}

fn open_account(path: &Path) -> Option<Account> {
    Account::open(path)
        .inspect_err(
            |error| tracing::error!(%error, path = %path.display(), "the buffer's account can't be opened"),
        )
        .ok()
}
