//! The disk side of the buffer: an open store or none, and how it comes back from either kind of failure.

use super::Error;
use super::folder::Folder;
use super::mark::{Mark, Run};
use super::shelf::{Hole, Shelf};
use super::store::{Failure, Item};
use crate::now_us;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vmscope_model::Position;

/// First pause before the disk is tried again, doubled up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest pause before the disk is tried again.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Files of this size are worth a fresh store when nearly nothing in them is live.
const REBUILD_DISK_BYTES: u64 = 32 << 20;
/// More live bytes than this are not copied to a fresh store: sled's own clean-up has to do.
const REBUILD_LIVE_BYTES: u64 = 2 << 20;

/// How the run before this one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// In order, with everything on disk.
    pub closed: bool,
    /// Time of its last durable record, or of its beginning, microseconds since the Unix epoch.
    pub last_us: i64,
}

pub(super) struct Disk {
    folder: Folder,
    shelf: Option<Shelf>,
    mark: Mark,
    /// Damage that nobody has been told of.
    holes: Vec<Hole>,
    retry_at: Instant,
    retry_pause: Duration,
    files_bytes: u64,
}

impl Disk {
    /// Takes the folder, opens its store and begins a new epoch. Gives where a damaged store was set aside, and how the
    /// run before ended.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<PathBuf>, Option<Before>), Error> {
        let folder = Folder::open(path)?;
        let mut disk = Self {
            mark: folder.read_mark().unwrap_or_default(),
            folder,
            shelf: None,
            holes: Vec::new(),
            retry_at: Instant::now(),
            retry_pause: RETRY_MIN,
            files_bytes: 0,
        };
        let quarantined = disk.open_shelf(true);
        let before = disk.mark.current().map(|run| Before {
            closed: disk.mark.closed,
            last_us: run.last_us.max(run.began_us()),
        });
        disk.begin_epoch();
        Ok((disk, quarantined, before))
    }

    pub(super) fn epoch(&self) -> u64 {
        self.mark.current().map_or(0, |run| run.epoch)
    }

    pub(super) const fn shelf(&self) -> Option<&Shelf> {
        self.shelf.as_ref()
    }

    /// Bytes of the store's files when they were last looked at.
    pub(super) const fn bytes(&self) -> u64 {
        self.files_bytes
    }

    /// What was found missing since the last call.
    pub(super) fn take_holes(&mut self) -> Vec<Hole> {
        std::mem::take(&mut self.holes)
    }

    /// Whether a store is there whose records can't be read at the moment.
    pub(super) fn is_hidden(&self) -> bool {
        self.shelf.is_none() && self.folder.has_store()
    }

    /// Tries the disk again when it is time.
    pub(super) fn reopen(&mut self) {
        if self.shelf.is_some() || Instant::now() < self.retry_at {
            return;
        }
        self.open_shelf(false);
        if self.shelf.is_some() {
            tracing::info!("buffer uses its disk again");
            self.note_mark();
        }
    }

    /// Stores records that stand after all others; false when the disk doesn't take them.
    pub(super) fn append(&mut self, items: &[Item]) -> bool {
        let Some((last, last_us)) = items.last().map(|item| (item.position.sequence, item.time_us)) else {
            return true;
        };
        // A second try meets the fresh store that replaced a damaged one.
        for _ in 0..2 {
            if !self.folder.has_room() {
                return false;
            }
            if self.with(|shelf| shelf.append(items)).is_some() {
                self.mark.stored(last, last_us);
                self.note_mark();
                return true;
            }
        }
        false
    }

    /// Records of an epoch up to this sequence are about to leave.
    pub(super) fn raise_floor(&mut self, upto: Position) {
        if self.mark.raise_floor(upto.epoch, upto.sequence) {
            self.note_mark();
        }
    }

    /// Uses the open store; `None` when there is none or it fails, which is then dealt with.
    pub(super) fn with<T>(&mut self, work: impl FnOnce(&mut Shelf) -> Result<T, Failure>) -> Option<T> {
        let current = self.shelf.as_mut()?;
        let failure = match work(current) {
            Ok(value) => return Some(value),
            Err(failure) => failure,
        };
        let oldest_us = current.oldest().map(|(_, time_us)| time_us);
        if let Some(failed) = self.shelf.take() {
            failed.abandon();
        }
        let damaged = matches!(failure, Failure::Damaged(_));
        self.fail(failure, oldest_us);
        if damaged && Instant::now() >= self.retry_at {
            self.open_shelf(false);
        }
        None
    }

    /// Replaces a store that is mostly dead space.
    pub(super) fn rebuild(&mut self) {
        let Some(disk_bytes) = self.with(|shelf| shelf.disk_bytes()) else {
            return;
        };
        self.files_bytes = disk_bytes;
        let small = |shelf: &&Shelf| shelf.bytes() <= REBUILD_LIVE_BYTES;
        let Some(current) = self.shelf.as_ref().filter(small) else {
            return;
        };
        if disk_bytes < REBUILD_DISK_BYTES {
            return;
        }
        match current.copy(&self.folder.next_store()) {
            Ok(fresh) => {
                self.files_bytes = fresh.disk_bytes().unwrap_or(0);
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

    /// Closes the store; `whole` says that it has everything that was taken.
    pub(super) fn close(&mut self, whole: bool) {
        self.mark.closed = whole;
        self.note_mark();
        if let Some(Err(failure)) = self.shelf.take().map(Shelf::close) {
            tracing::error!(%failure, "buffer's store could not be closed");
        }
        if let Err(error) = self.folder.sync_mark() {
            tracing::debug!(%error, "buffer can't make its mark durable");
        }
        self.folder.release();
    }

    /// Makes the next [`reopen`](Self::reopen) try at once.
    pub(super) fn hurry(&mut self) {
        self.retry_at = Instant::now();
    }

    /// Gives this run an epoch that was never used and makes that durable.
    fn begin_epoch(&mut self) {
        let stored = self
            .shelf
            .as_ref()
            .and_then(Shelf::newest)
            .map_or(0, |position| position.epoch);
        let now_ms = u64::try_from(now_us() / 1_000).unwrap_or(0);
        let epoch = self.epoch().max(stored).saturating_add(1).max(now_ms);
        self.mark.begin(epoch);
        if let Err(error) = self
            .folder
            .write_mark(&self.mark)
            .and_then(|()| self.folder.sync_mark())
        {
            tracing::warn!(%error, buffer.epoch = epoch, "buffer can't note its epoch: the clock alone keeps it unique");
        }
    }

    /// Opens the store, or a fresh one if it is damaged; `survey` compares what is there with the mark. Gives where the
    /// damaged one went.
    fn open_shelf(&mut self, survey: bool) -> Option<PathBuf> {
        match self.try_shelf(survey) {
            Ok(()) => None,
            Err(failure) => {
                let quarantined = self.fail(failure, None)?;
                if let Err(failure) = self.try_shelf(false) {
                    self.fail(failure, None);
                }
                Some(quarantined)
            }
        }
    }

    fn try_shelf(&mut self, survey: bool) -> Result<(), Failure> {
        self.folder.prepare()?;
        if !self.folder.has_store() && !self.folder.has_room() {
            return Err(Failure::from_io(ErrorKind::StorageFull.into()));
        }
        let (opened, holes) = Shelf::open(&self.folder.store(), survey.then_some(&self.mark))?;
        for span in holes.iter().filter_map(|hole| hole.span) {
            tracing::error!(
                buffer.epoch = span.epoch,
                buffer.lost = span.ticks(),
                "buffer's store has lost records"
            );
        }
        for span in holes.iter().filter_map(|hole| hole.span) {
            self.mark.cut(span);
        }
        self.holes.extend(holes);
        self.files_bytes = opened.disk_bytes()?;
        self.shelf = Some(opened);
        self.retry_pause = RETRY_MIN;
        Ok(())
    }

    /// Deals with a store that failed: sets a damaged one aside and gives where, or leaves the disk alone for a while.
    fn fail(&mut self, failure: Failure, oldest_us: Option<i64>) -> Option<PathBuf> {
        let failure = match failure {
            Failure::Damaged(problem) => match self.folder.quarantine() {
                Ok(aside) => {
                    self.note_lost_store(oldest_us);
                    let path = aside.display();
                    tracing::error!(problem, quarantine = %path, "buffer's store is damaged and set aside: its records are lost");
                    return Some(aside);
                }
                Err(failure) => failure,
            },
            Failure::Unavailable(_) => failure,
        };
        let cause = std::error::Error::source(&failure)
            .map(ToString::to_string)
            .unwrap_or_default();
        let retry_s = self.retry_pause.as_secs();
        tracing::warn!(problem = %failure, cause, retry_s, "buffer keeps to memory");
        self.retry_at = Instant::now() + self.retry_pause;
        self.retry_pause = (self.retry_pause * 2).min(RETRY_MAX);
        None
    }

    /// Everything that should have been in the store is a hole; without a mark that knows it, a span of time has to do.
    fn note_lost_store(&mut self, oldest_us: Option<i64>) {
        let hole = |run: &Run| {
            let span = run.expected()?;
            Some(Hole {
                from_us: oldest_us.unwrap_or_else(|| run.began_us()).min(run.last_us),
                to_us: run.last_us,
                span: Some(span),
            })
        };
        let before = self.holes.len();
        self.holes.extend(self.mark.runs().iter().filter_map(hole));
        if self.holes.len() == before {
            let to_us = now_us();
            self.holes.push(Hole {
                from_us: oldest_us.unwrap_or(to_us).min(to_us),
                to_us,
                span: None,
            });
        }
        self.mark.forget();
        self.note_mark();
    }

    fn note_mark(&self) {
        if let Err(error) = self.folder.write_mark(&self.mark) {
            tracing::debug!(%error, "buffer can't write its mark");
        }
    }
}
