//! One sled database behind the few calls that the buffer needs, with every way it can fail sorted into two.
//!
//! sled reports damage by errors, by panics in the calling thread and by panics in its own threads (which then show as
//! errors here). Panics are caught, so the process must be built with unwinding. After any [`Failure`] the store is of no
//! further use: drop it.

use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vmscope_model::Position;

/// sled's page cache. The buffer reads what it has just written, or runs through a backlog once: more doesn't help.
const CACHE_BYTES: u64 = 1 << 20;
/// sled's threads may hold its lock for a moment after it was closed: how long to wait for them.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two tries at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// sled's cache has 256 shards and lets go of pages in one only after 64 accesses to it: read through once, a store of
/// 63 MB stays in memory whole (69 MB measured). Reading a record again once for this many of its bytes
/// makes the shards notice (11 MB).
const TOUCH_BYTES: usize = 256;
/// As many accesses as any shard waits for.
const MAX_TOUCHES: usize = 64;
/// Bytes of a key: epoch and sequence.
const KEY_BYTES: usize = 16;
/// Bytes before the encoded record: its time.
const TIME_BYTES: usize = 8;

/// Why a store can't go on.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Failure {
    /// The disk takes nothing at the moment; what is stored is as good as before.
    #[error("the disk takes no more")]
    Unavailable(#[source] Arc<io::Error>),
    /// What is stored can't be trusted.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

impl Failure {
    /// Sorts an error of the file system.
    pub(super) fn from_io(error: io::Error) -> Self {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WouldBlock};
        match error.kind() {
            StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied | WouldBlock => {
                Self::Unavailable(Arc::new(error))
            }
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<sled::Error> for Failure {
    fn from(error: sled::Error) -> Self {
        match error {
            // sled wraps the system's error number in a new error without it, but keeps its kind.
            sled::Error::Io(error) if is_locked(&error) => {
                Self::Unavailable(Arc::new(io::Error::new(io::ErrorKind::WouldBlock, error)))
            }
            sled::Error::Io(error) => Self::from_io(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// sled reports its own lock, held until the threads of an earlier instance have ended, as an error of kind `Other`.
fn is_locked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().contains("acquire lock")
}

/// One stored record, still encoded. An empty body stands in for records that are lost and have been told of: itself and
/// those missing right before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) position: Position,
    pub(super) time_us: i64,
    pub(super) body: Vec<u8>,
}

impl Item {
    /// What it counts for against the buffer's bounds.
    pub(super) fn bytes(&self) -> u64 {
        cost(self.body.len())
    }

    /// What takes the place of records that are known to be lost.
    pub(super) const fn tombstone(position: Position, time_us: i64) -> Self {
        Self {
            position,
            time_us,
            body: Vec::new(),
        }
    }

    pub(super) const fn is_tombstone(&self) -> bool {
        self.body.is_empty()
    }

    fn read(key: &[u8], value: &[u8]) -> Result<Self, Failure> {
        let damaged = || Failure::Damaged("a key or value has the wrong length".to_owned());
        let (epoch, sequence) = key.split_at_checked(8).ok_or_else(damaged)?;
        let (time, body) = value.split_first_chunk::<TIME_BYTES>().ok_or_else(damaged)?;
        Ok(Self {
            position: Position {
                epoch: u64::from_be_bytes(epoch.try_into().map_err(|_| damaged())?),
                sequence: u64::from_be_bytes(sequence.try_into().map_err(|_| damaged())?),
            },
            time_us: i64::from_be_bytes(*time),
            body: body.to_vec(),
        })
    }
}

fn cost(body_bytes: usize) -> u64 {
    (body_bytes + KEY_BYTES + TIME_BYTES) as u64
}

/// An open store.
pub(super) struct Store {
    database: sled::Db,
}

impl Store {
    /// Opens the store in `folder` and makes it if it isn't there.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let opened = guarded(|| {
                let database = sled::Config::new()
                    .path(folder)
                    .cache_capacity(CACHE_BYTES)
                    .mode(sled::Mode::LowSpace)
                    .flush_every_ms(None)
                    .open()?;
                Ok(Self { database })
            });
            match opened {
                Err(Failure::Unavailable(error))
                    if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline =>
                {
                    std::thread::sleep(LOCK_PAUSE);
                }
                opened => return opened,
            }
        }
    }

    /// Writes records and makes them durable, all or (after a crash) a leading part of them.
    pub(super) fn insert<'a>(&self, items: impl IntoIterator<Item = &'a Item>) -> Result<(), Failure> {
        guarded(|| {
            for item in items {
                let mut value = Vec::with_capacity(TIME_BYTES + item.body.len());
                value.extend_from_slice(&item.time_us.to_be_bytes());
                value.extend_from_slice(&item.body);
                self.database.insert(key(item.position), value)?;
            }
            self.database.flush()?;
            Ok(())
        })
    }

    /// Removes a record without waiting for the disk: at worst it is back after a crash. Gives what it counted for.
    pub(super) fn remove(&self, position: Position) -> Result<u64, Failure> {
        guarded(|| {
            let old = self.database.remove(key(position))?;
            Ok(old.map_or(0, |value| cost(value.len().saturating_sub(TIME_BYTES))))
        })
    }

    /// The first record after `after`.
    pub(super) fn next(&self, after: Option<Position>) -> Result<Option<Item>, Failure> {
        guarded(|| {
            let start = after.map_or(Bound::Unbounded, |position| Bound::Excluded(key(position)));
            match self.database.range((start, Bound::Unbounded)).next() {
                None => Ok(None),
                Some(entry) => {
                    let (key, value) = entry?;
                    Item::read(&key, &value).map(Some)
                }
            }
        })
    }

    /// Shows every record, in order, until `visit` answers false.
    pub(super) fn scan(
        &self,
        after: Option<Position>,
        mut visit: impl FnMut(Item) -> bool,
    ) -> Result<(), Failure> {
        guarded(|| {
            let start = after.map_or(Bound::Unbounded, |position| Bound::Excluded(key(position)));
            for entry in self.database.range((start, Bound::Unbounded)) {
                let (key, value) = entry?;
                // See TOUCH_BYTES.
                for _ in 0..(value.len() / TOUCH_BYTES).clamp(1, MAX_TOUCHES) {
                    self.database.get(&key)?;
                }
                if !visit(Item::read(&key, &value)?) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Bytes of the store's files.
    pub(super) fn disk_bytes(&self) -> Result<u64, Failure> {
        guarded(|| Ok(self.database.size_on_disk()?))
    }

    /// Makes removals durable too.
    pub(super) fn flush(&self) -> Result<(), Failure> {
        guarded(|| {
            self.database.flush()?;
            Ok(())
        })
    }

    /// Closes the store on a thread of its own: closing a damaged one may panic or wait for a thread that has died.
    pub(super) fn abandon(self) {
        let closing = std::thread::Builder::new()
            .name("buffer-close".to_owned())
            .spawn(move || drop(catch_unwind(AssertUnwindSafe(|| drop(self)))));
        if let Err(error) = closing {
            tracing::warn!(%error, "a store that failed could not be closed apart");
        }
    }

    /// Closes a healthy store and waits for it.
    pub(super) fn close(self) {
        if catch_unwind(AssertUnwindSafe(|| drop(self))).is_err() {
            tracing::warn!("the buffer's store failed while it was closed");
        }
    }
}

fn key(position: Position) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&position.epoch.to_be_bytes());
    key[8..].copy_from_slice(&position.sequence.to_be_bytes());
    key
}

fn guarded<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // Whatever a panic leaves half done is dropped with the store.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a message");
        Err(Failure::Damaged(format!("sled panicked: {text}")))
    })
}
