//! The buffer's thread: decides what is kept where, and what happens when the disk fails.
//!
//! Order is everything here, because a collector drops what stands at or below its progress mark: records in memory are
//! newer than all records on disk, so they are not given out while a store that can't be opened may hold older ones.

use super::account::Account;
use super::folder::{Folder, Mark};
use super::losses::Losses;
use super::ring::Ring;
use super::shelf::{Hole, Shelf};
use super::store::{Failure, Item};
use super::{Batch, Config, Error, Recovery, Request, Status};
use crate::now_us;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vmscope_model::{Cause, Position, Record, record};

/// First pause before the disk is tried again, doubled up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest pause before the disk is tried again.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Files of this size are worth a fresh store when nearly nothing in them is live.
const REBUILD_DISK_BYTES: u64 = 32 << 20;
/// More live bytes than this are not copied to a fresh store: sled's own clean-up has to do.
const REBUILD_LIVE_BYTES: u64 = 2 << 20;
/// Appends between two looks at the size of the files.
const REBUILD_CHECK: u64 = 128;

pub(super) struct Keeper {
    folder: Folder,
    config: Config,
    shelf: Option<Shelf>,
    ring: Ring,
    /// The last record that the ring dropped, while the disk has not been told.
    dropped: Option<Item>,
    losses: Losses,
    account: Option<Account>,
    mark: Mark,
    sequence: u64,
    acknowledged: BTreeMap<u64, u64>,
    retry_at: Instant,
    retry_pause: Duration,
    disk_bytes: u64,
}

impl Keeper {
    pub(super) fn open(path: &Path, config: &Config) -> Result<(Self, Recovery), Error> {
        let folder = Folder::open(path)?;
        let known = folder.read_mark();
        let mut keeper = Self {
            folder,
            config: config.clone(),
            shelf: None,
            ring: Ring::new(config.memory_ring_bytes),
            dropped: None,
            losses: Losses::default(),
            account: config.account_path.as_deref().and_then(open_account),
            mark: known.unwrap_or_default(),
            sequence: 0,
            acknowledged: BTreeMap::new(),
            retry_at: Instant::now(),
            retry_pause: RETRY_MIN,
            disk_bytes: 0,
        };
        let quarantined = keeper.open_shelf(known);
        keeper.begin_epoch();
        let recovery = Recovery {
            records: keeper.shelf.as_ref().map_or(0, Shelf::records),
            quarantined,
            lost: keeper.losses.counted().corruption,
            on_disk: keeper.shelf.is_some(),
        };
        Ok((keeper, recovery))
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.mark.epoch
    }

    pub(super) fn status(&self) -> Status {
        let shelf = self.shelf.as_ref();
        let on_disk = shelf.and_then(Shelf::oldest).map(|(_, time_us)| time_us);
        Status {
            bytes: shelf.map_or(0, Shelf::bytes),
            disk_bytes: self.disk_bytes,
            records: shelf.map_or(0, Shelf::records) + self.ring.len(),
            in_memory: self.ring.len(),
            oldest_us: on_disk.or_else(|| self.ring.front().map(|item| item.time_us)),
            newest: (self.sequence > 0).then_some(Position {
                epoch: self.mark.epoch,
                sequence: self.sequence,
            }),
            lost: self.losses.counted(),
        }
    }

    /// Answers a request; breaks when it was the last one.
    pub(super) fn serve(&mut self, request: Request) -> ControlFlow<()> {
        // A caller that no longer waits is no reason not to have done it.
        match request {
            Request::Append { record, reply } => _ = reply.send(self.append(record)),
            Request::Peek { after, limits, reply } => _ = reply.send(self.peek(after, limits)),
            Request::Acknowledge { upto, reply } => {
                self.acknowledge(upto);
                _ = reply.send(());
            }
            Request::Discard { position, reply } => {
                self.discard(position);
                _ = reply.send(());
            }
            Request::Close { reply } => {
                self.close();
                _ = reply.send(());
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn append(&mut self, mut record: Record) -> Result<Position, Error> {
        self.evict_old(record.tick.time_us);
        self.losses.tell(&mut record);
        let body = match record::encode(&record) {
            Ok(body) => body,
            Err(error) => {
                self.losses.add_record(Cause::BufferFull, record);
                return Err(Error::Encode(error));
            }
        };
        self.sequence += 1;
        let item = Item {
            position: Position {
                epoch: self.mark.epoch,
                sequence: self.sequence,
            },
            time_us: record.tick.time_us,
            body,
        };
        let position = item.position;
        if let Some(account) = &self.account {
            account.begin(position, item.time_us);
        }
        self.evict_large(item.bytes());
        // The ring is the way in; whatever can go to disk goes on from there at once, in order.
        self.ring.push(item);
        self.settle();
        if self.ring.len() == 0 {
            if let Some(account) = &self.account {
                account.took(position, &record);
            }
        }
        for item in self.ring.trim() {
            self.lose(Cause::BufferFull, &item);
            self.dropped = Some(item);
        }
        Ok(position)
    }

    /// Moves what is in memory to disk, if the disk takes it.
    fn settle(&mut self) {
        self.reopen();
        if self.shelf.is_none() || !self.folder.has_room() {
            return;
        }
        // A second try meets the fresh store that replaced a damaged one.
        for _ in 0..2 {
            let gone = self
                .dropped
                .as_ref()
                .map(|item| Item::tombstone(item.position, item.time_us));
            let items: Vec<Item> = gone.into_iter().chain(self.ring.iter().cloned()).collect();
            let Some(last) = items.last().map(|item| item.position.sequence) else {
                return;
            };
            match self.with_shelf(|shelf| shelf.append(&items)) {
                Some(()) => {
                    self.mark.last = last;
                    self.note_mark();
                    if self.ring.len() > 1 {
                        tracing::info!(
                            buffer.records = self.ring.len(),
                            "buffer moved records from memory to disk"
                        );
                    }
                    self.ring.clear();
                    self.dropped = None;
                    self.rebuild();
                    return;
                }
                None if self.shelf.is_none() => return,
                None => {}
            }
        }
    }

    fn peek(&mut self, mut after: Option<Position>, limits: Batch) -> Vec<(Position, Record)> {
        self.reopen();
        loop {
            let items = self.read(after, limits);
            let Some(last) = items.last().map(|item| item.position) else {
                return Vec::new();
            };
            let records: Vec<_> = items.into_iter().filter_map(|item| self.decode(item)).collect();
            if !records.is_empty() {
                return records;
            }
            // Only tombstones: what follows them may be whole.
            after = Some(last);
        }
    }

    fn read(&mut self, after: Option<Position>, limits: Batch) -> Vec<Item> {
        if self.shelf.is_none() && self.folder.has_store() {
            return Vec::new();
        }
        let items = self
            .with_shelf(|shelf| shelf.read(after, limits))
            .unwrap_or_default();
        if !items.is_empty() {
            return items;
        }
        let mut bytes = 0;
        self.ring
            .iter()
            .filter(|item| after.is_none_or(|after| item.position > after))
            .enumerate()
            .take_while(|(count, item)| {
                bytes += item.body.len();
                *count == 0 || (bytes <= limits.bytes && *count < limits.records)
            })
            .map(|(_, item)| item.clone())
            .collect()
    }

    fn decode(&mut self, item: Item) -> Option<(Position, Record)> {
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
                self.losses.add(Cause::Corruption, item.time_us, item.time_us, 1);
                self.with_shelf(|shelf| shelf.bury(&item));
                None
            }
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
        self.with_shelf(|shelf| shelf.release(upto));
    }

    fn discard(&mut self, position: Position) {
        let before = Position {
            epoch: position.epoch,
            sequence: position.sequence.saturating_sub(1),
        };
        let first = Batch { records: 1, bytes: 0 };
        if let Some(item) = self
            .read(Some(before), first)
            .into_iter()
            .find(|item| item.position == position)
        {
            self.losses.add(Cause::Corruption, item.time_us, item.time_us, 1);
            self.with_shelf(|shelf| shelf.bury(&item));
        }
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
            .shelf
            .as_ref()
            .filter(|shelf| due(shelf))
            .and_then(Shelf::oldest)
        {
            self.raise_floor(oldest);
            match self.with_shelf(Shelf::pop).flatten() {
                Some(item) if item.is_tombstone() => {}
                Some(item) => self.lose(cause, &item),
                None => return,
            }
        }
    }

    fn lose(&mut self, cause: Cause, item: &Item) {
        match record::decode(&item.body) {
            Ok(record) => self.losses.add_record(cause, record),
            Err(_) => self.losses.add(cause, item.time_us, item.time_us, 1),
        }
    }

    fn raise_floor(&mut self, upto: Position) {
        if upto.epoch == self.mark.epoch && upto.sequence > self.mark.floor {
            self.mark.floor = upto.sequence.min(self.sequence);
            self.note_mark();
        }
    }

    fn note_mark(&self) {
        if let Err(error) = self.folder.write_mark(self.mark) {
            tracing::debug!(%error, "buffer can't write its mark");
        }
    }

    /// Gives this run an epoch that was never used and makes that durable.
    fn begin_epoch(&mut self) {
        let stored = self
            .shelf
            .as_ref()
            .and_then(Shelf::newest)
            .map_or(0, |(position, _)| position.epoch);
        let now_ms = u64::try_from(now_us() / 1_000).unwrap_or(0);
        let epoch = self.mark.epoch.max(stored).saturating_add(1).max(now_ms);
        self.mark = Mark {
            epoch,
            floor: 0,
            last: 0,
        };
        if let Err(error) = self
            .folder
            .write_mark(self.mark)
            .and_then(|()| self.folder.sync_mark())
        {
            tracing::warn!(%error, buffer.epoch = epoch, "buffer can't note its epoch: the clock alone keeps it unique");
        }
    }

    /// Tries the disk again when it is time.
    fn reopen(&mut self) {
        if self.shelf.is_some() || Instant::now() < self.retry_at {
            return;
        }
        self.open_shelf(None);
        if self.shelf.is_some() {
            tracing::info!(
                buffer.records = self.status().records,
                "buffer uses its disk again"
            );
            self.note_mark();
        }
    }

    /// Opens the store, or a fresh one if it is damaged. Gives where the damaged one went.
    fn open_shelf(&mut self, mark: Option<Mark>) -> Option<PathBuf> {
        let mut quarantined = None;
        for _ in 0..2 {
            let opened = self.folder.prepare().and_then(|()| {
                if !self.folder.has_store() && !self.folder.has_room() {
                    return Err(Failure::from_io(std::io::ErrorKind::StorageFull.into()));
                }
                Shelf::open(
                    &self.folder.store(),
                    mark.filter(|_| quarantined.is_none()),
                    now_us(),
                )
            });
            match opened {
                Ok((shelf, holes)) => {
                    self.report(&holes);
                    self.disk_bytes = shelf.disk_bytes().unwrap_or(0);
                    self.shelf = Some(shelf);
                    self.retry_pause = RETRY_MIN;
                    break;
                }
                Err(failure) => quarantined = self.fail(failure, None).or(quarantined),
            }
            if self.retry_at > Instant::now() {
                break;
            }
        }
        quarantined
    }

    fn report(&mut self, holes: &[Hole]) {
        for hole in holes {
            tracing::error!(buffer.lost = hole.ticks, "buffer's store has lost records");
            self.losses
                .add(Cause::Corruption, hole.from_us, hole.to_us, hole.ticks);
        }
    }

    /// Uses the open store; `None` when there is none or it fails, which is then dealt with.
    fn with_shelf<T>(&mut self, work: impl FnOnce(&mut Shelf) -> Result<T, Failure>) -> Option<T> {
        let shelf = self.shelf.as_mut()?;
        match work(shelf) {
            Ok(value) => Some(value),
            Err(failure) => {
                let oldest_us = shelf.oldest().map(|(_, time_us)| time_us);
                if let Some(shelf) = self.shelf.take() {
                    shelf.abandon();
                }
                let damaged = matches!(failure, Failure::Damaged(_));
                self.fail(failure, oldest_us);
                if damaged && Instant::now() >= self.retry_at {
                    self.open_shelf(None);
                }
                None
            }
        }
    }

    /// Deals with a store that failed: keeps to memory for a while, or sets the store aside and gives where.
    fn fail(&mut self, failure: Failure, oldest_us: Option<i64>) -> Option<PathBuf> {
        let failure = match failure {
            Failure::Unavailable(_) => failure,
            Failure::Damaged(problem) => match self.folder.quarantine() {
                Ok(aside) => {
                    let path = aside
                        .as_deref()
                        .map(|path| path.display().to_string())
                        .unwrap_or_default();
                    tracing::error!(
                        problem,
                        quarantine = path,
                        "buffer's store is damaged and set aside: its records are lost"
                    );
                    let now_us = now_us();
                    let began_us = i64::try_from(self.mark.epoch)
                        .unwrap_or(i64::MAX)
                        .saturating_mul(1_000);
                    self.losses.add(
                        Cause::Corruption,
                        oldest_us.unwrap_or(began_us).min(now_us),
                        now_us,
                        0,
                    );
                    return aside;
                }
                Err(failure) => failure,
            },
        };
        let cause = std::error::Error::source(&failure)
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::warn!(problem = %failure, cause, retry_s = self.retry_pause.as_secs(), "buffer keeps to memory");
        self.retry_at = Instant::now() + self.retry_pause;
        self.retry_pause = (self.retry_pause * 2).min(RETRY_MAX);
        None
    }

    /// Replaces a store that is mostly dead space.
    fn rebuild(&mut self) {
        if !self.sequence.is_multiple_of(REBUILD_CHECK) {
            return;
        }
        let Some(disk_bytes) = self.with_shelf(|shelf| shelf.disk_bytes()) else {
            return;
        };
        self.disk_bytes = disk_bytes;
        let Some(shelf) = self
            .shelf
            .as_ref()
            .filter(|shelf| shelf.bytes() <= REBUILD_LIVE_BYTES)
        else {
            return;
        };
        if disk_bytes < REBUILD_DISK_BYTES {
            return;
        }
        match shelf.copy(&self.folder.next_store()) {
            Ok(fresh) => {
                self.disk_bytes = fresh.disk_bytes().unwrap_or(0);
                if let Some(old) = self.shelf.replace(fresh) {
                    old.abandon();
                }
                self.folder.advance();
                tracing::debug!(buffer.disk_bytes = disk_bytes, "buffer's store was rebuilt");
            }
            Err(failure) => {
                tracing::warn!(%failure, "buffer's store could not be rebuilt");
                self.folder.retreat();
            }
        }
    }

    fn close(&mut self) {
        self.retry_at = Instant::now();
        self.settle();
        if self.ring.len() > 0 {
            tracing::error!(
                buffer.records = self.ring.len(),
                "buffer ends with records that the disk did not take"
            );
        }
        if let Some(Err(failure)) = self.shelf.take().map(Shelf::close) {
            tracing::error!(%failure, "buffer's store could not be closed");
        }
        if let Err(error) = self.folder.sync_mark() {
            tracing::debug!(%error, "buffer can't make its mark durable");
        }
    }
}

fn open_account(path: &Path) -> Option<Account> {
    Account::open(path)
        .inspect_err(
            |error| tracing::error!(%error, path = %path.display(), "the buffer's account can't be opened"),
        )
        .ok()
}
