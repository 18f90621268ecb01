//! The crash-safe queue between sampling and sending.
//!
//! # Constraints
//! - An append that has returned is durable: it survives `kill -9` and power loss. The exception is a disk that takes
//!   nothing (full, read-only): then records wait in a bounded memory ring and [`Status::in_memory`] says how many.
//! - Records leave only by [`Buffer::acknowledge`] or as a counted loss. There is no cursor on disk: a reader that starts
//!   anew sees everything that is not acknowledged, in order.
//! - Every loss (too many bytes, too old, damage, no room) becomes a [`Gap`](vmscope_model::Gap) in the next record that
//!   is stored, with the numbers of the lost records, so that the collector can enter each of them exactly once.
//! - Memory and disk are bounded by [`Config`], whatever the collector does.
//! - The agent never refuses to run because of its buffer. Only a second agent on the same folder is an error.
//!
//! # Format
//! One folder, one writer (an exclusive `flock` on `lock`):
//!
//! | name | what |
//! |---|---|
//! | `store-<n>/` | the sled database; key = epoch and sequence (big-endian u64 each), value = time (big-endian i64, µs), then `vmscope_model::record` |
//! | `mark` | for each epoch that may have records here: up to where they have left, and the last durable one; whether the last run ended in order |
//! | `quarantine-<unix s>/` | a damaged store, kept for a person to look at; the newest two |
//! | `trash-<n>/` | a store that is being deleted |
//!
//! Each start of the agent takes a new epoch, above every epoch seen so far and not below the clock in milliseconds; it
//! is written to `mark` before the first record. Sequences count from 1.
//!
//! # Why sled needs a narrow interface
//! sled 0.34 can corrupt itself, panics in its own threads, keeps dead space, and refuses all work after one failed write.
//! So every call goes through `store`, on one thread, with panics caught, and each failure is one of two kinds: the disk
//! takes nothing now (close, keep to memory, try again with growing pauses), or the store is damaged (set aside, report,
//! start anew). Its cache is small, and it flushes when told to, once per append. When little is live and the
//! files are large, the live records are copied to a fresh store and the old one is deleted.
//!
//! # Recovery
//! 1. `trash-*` goes. Of several stores the lowest number is whole (a copy to a fresh one was cut short): the others go.
//! 2. The store is opened and read through. Panics and errors set it aside.
//! 3. Holes in an epoch's sequence, and an end that `mark` knows and the store doesn't, are records that sled lost
//!    without saying so (it takes a damaged tail for a torn write): reported as losses. A tombstone in the store explains
//!    the hole before it. `mark` is written without fsync, so that after a power loss it may know less, never more.

mod account;
mod config;
mod disk;
mod folder;
mod keeper;
mod losses;
mod mark;
mod ring;
mod shelf;
mod store;

pub use config::{Config, ConfigError};
pub use disk::Before;

use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot, watch};
use vmscope_model::{Cause, Position, Record};

/// Requests that may wait for the buffer's thread before callers wait too.
const REQUESTS: usize = 16;

/// Why the buffer can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the folder.
    #[error("buffer {path} is in use by another process", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The system gives no thread.
    #[error("the buffer's thread can't be started")]
    Spawn(#[source] io::Error),
    /// A record is beyond what the codec writes.
    #[error("a record can't be encoded")]
    Encode(#[source] vmscope_model::record::Error),
    /// The buffer has been closed.
    #[error("the buffer is closed")]
    Closed,
}

/// What was found at the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Records that wait for delivery.
    pub records: u64,
    /// Where a damaged store was set aside.
    pub quarantined: Option<PathBuf>,
    /// Records that are known to be lost; a damaged store's are not counted.
    pub lost: u64,
    /// Whether the disk can be used; otherwise the buffer begins in memory.
    pub on_disk: bool,
    /// How the run before this one ended; `None` when nothing is known of one.
    pub before: Option<Before>,
}

/// How the buffer stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Bytes of samples on disk.
    pub bytes: u64,
    /// Bytes of the store's files.
    pub disk_bytes: u64,
    /// Records on disk and in memory.
    pub records: u64,
    /// Records in memory because the disk takes none.
    pub in_memory: u64,
    /// Time of the oldest record, microseconds since the Unix epoch; `None` when there is none.
    pub oldest_us: Option<i64>,
    /// The last record appended in this run.
    pub newest: Option<Position>,
    /// Records lost in this run, by cause.
    pub lost: Lost,
}

/// Records lost, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Dropped to stay below `max_bytes`.
    pub evicted_by_size: u64,
    /// Dropped because they were older than `max_age_s`.
    pub evicted_by_age: u64,
    /// Damaged; a store that was set aside whole counts as one.
    pub corruption: u64,
    /// Dropped from the memory ring.
    pub buffer_full: u64,
}

impl Lost {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.evicted_by_size + self.evicted_by_age + self.corruption + self.buffer_full
    }

    fn count(&mut self, cause: Cause, records: u64) {
        match cause {
            Cause::EvictedBySize => self.evicted_by_size += records,
            Cause::EvictedByAge => self.evicted_by_age += records,
            Cause::BufferFull => self.buffer_full += records,
            // The other causes are the sampler's: damage is all that is left.
            _ => self.corruption += records,
        }
    }
}

enum Request {
    Append {
        record: Record,
        reply: oneshot::Sender<Result<Position, Error>>,
    },
    Peek {
        after: Option<Position>,
        limits: Batch,
        reply: oneshot::Sender<Vec<(Position, Record)>>,
    },
    Acknowledge {
        upto: Position,
        reply: oneshot::Sender<()>,
    },
    Discard {
        position: Position,
        reply: oneshot::Sender<()>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

/// How much one [`Buffer::peek`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Records at most.
    pub records: usize,
    /// Encoded bytes at most; the first record is given however large it is.
    pub bytes: usize,
}

/// The queue; clones are the same queue.
#[derive(Debug, Clone)]
pub struct Buffer {
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<Status>,
    epoch: u64,
}

impl Buffer {
    /// Opens the buffer in `folder`, which is made if it doesn't exist, and begins a new epoch.
    ///
    /// Blocks while an existing store is read through.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has the folder, [`Error::Spawn`] when the system gives no thread.
    /// A folder that can't be written is no error: the buffer then keeps to memory and tries again.
    pub fn open(folder: &Path, config: &Config) -> Result<(Self, Recovery), Error> {
        let (mut keeper, recovery) = keeper::Keeper::open(folder, config)?;
        let (epoch, status) = (keeper.epoch(), keeper.subscribe());
        let (requests, mut inbox) = mpsc::channel(REQUESTS);
        std::thread::Builder::new()
            .name("buffer".to_owned())
            .spawn(move || {
                while let Some(request) = inbox.blocking_recv() {
                    if keeper.serve(request).is_break() {
                        break;
                    }
                }
            })
            .map_err(Error::Spawn)?;
        Ok((
            Self {
                requests,
                status,
                epoch,
            },
            recovery,
        ))
    }

    /// The epoch of this run.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes a record; it is durable when this returns, unless the disk takes nothing (see the module).
    /// Losses since the last append are added to the record's gaps.
    ///
    /// # Errors
    /// [`Error::Encode`] when the record is beyond the codec's limits, [`Error::Closed`] after [`close`](Self::close).
    pub async fn append(&self, record: Record) -> Result<Position, Error> {
        self.ask(|reply| Request::Append { record, reply }).await?
    }

    /// The oldest records that are not acknowledged and stand after `after`, in order.
    ///
    /// # Errors
    /// [`Error::Closed`] after [`close`](Self::close).
    pub async fn peek(
        &self,
        after: Option<Position>,
        limits: Batch,
    ) -> Result<Vec<(Position, Record)>, Error> {
        self.ask(|reply| Request::Peek { after, limits, reply }).await
    }

    /// Lets go of every record of `upto`'s epoch up to its sequence.
    ///
    /// # Errors
    /// [`Error::Closed`] after [`close`](Self::close).
    pub async fn acknowledge(&self, upto: Position) -> Result<(), Error> {
        self.ask(|reply| Request::Acknowledge { upto, reply }).await
    }

    /// Gives up a record that can't be sent: a loss like a damaged one.
    ///
    /// # Errors
    /// [`Error::Closed`] after [`close`](Self::close).
    pub async fn discard(&self, position: Position) -> Result<(), Error> {
        self.ask(|reply| Request::Discard { position, reply }).await
    }

    /// How the buffer stands; the receiver is told of every change.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Writes out what is in memory, closes the store and frees the folder. Later calls on any clone fail.
    pub async fn close(&self) {
        // Closed already is as good.
        let _ = self.ask(|reply| Request::Close { reply }).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)
    }
}
