//! Writers: each has its own database connection and commits the frames of its hosts.
//!
//! All frames of a host pass through one writer, in the order of their sessions. A writer gathers what many sessions
//! have queued into one transaction: at once when it was idle, else for up to [`GATHER`] or [`BATCH_ROWS`] rows.
//!
//! Failure: while the database does not answer, the same transaction is tried again for ever, and the bounded queue
//! makes sessions stop reading. Trying again after an ambiguous commit is safe, because the progress mark in the
//! transaction makes ticks that did arrive fall out. When the database refuses the data for good, the lot is halved
//! until the offending frame stands alone; its session is refused with everything it has queued behind that frame
//! (so the mark never passes a tick that was not stored), and the other sessions go on.

use super::Admission;
use crate::database::{Database, Failure};
use crate::metrics::Metrics;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use vmscope_store::ingest::{Committed, HostBatch, Writer};

/// A transaction takes no further frame once it has this many rows.
pub(super) const BATCH_ROWS: usize = 50_000;

/// How long after its last commit a writer gathers frames before the next one.
const GATHER: Duration = Duration::from_millis(100);

/// Frames queued for one writer; a full queue makes sessions wait.
pub(super) const QUEUE_FRAMES: usize = 1024;

/// A frame's rows on their way into the database.
#[derive(Debug)]
pub(super) struct Job {
    /// The rows, with database ids.
    pub(super) batch: HostBatch,
    /// Where they come from and what holds them in the budget.
    pub(super) ticket: Ticket,
}

/// What goes with a batch through the writer.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Number of the session.
    pub(super) session: u64,
    /// Set when a frame of the session was refused: nothing behind it may be committed.
    pub(super) poisoned: Arc<AtomicBool>,
    /// The batch's rows, counted in the budget until this is dropped.
    pub(super) admission: Admission,
    /// Told the outcome; dropped untold when the collector stops first.
    pub(super) outcome: oneshot::Sender<Outcome>,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its rows are in the database.
    Committed,
    /// The database refused its data, or that of a frame before it.
    Refused,
}

impl Ticket {
    fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    fn settle(self, outcome: Outcome) {
        if outcome == Outcome::Refused {
            self.poisoned.store(true, Ordering::Release);
        }
        // The session may be gone: the agent then learns the mark in its next one.
        let _ = self.outcome.send(outcome);
    }
}

/// Frames for one transaction.
#[derive(Debug, Default)]
struct Lot {
    jobs: Vec<Job>,
    rows: usize,
    /// Which session each host's frames come from.
    sessions: HashMap<i32, u64>,
}

impl Lot {
    /// Takes the job, or gives it back when the lot holds frames of an older session of the same host: should those
    /// be refused, this one must not be judged by a mark that counted on them.
    fn push(&mut self, job: Job) -> Result<(), Job> {
        let session = *self
            .sessions
            .entry(job.batch.host_id)
            .or_insert(job.ticket.session);
        if session != job.ticket.session {
            return Err(job);
        }
        self.rows += job.ticket.admission.rows;
        self.jobs.push(job);
        Ok(())
    }
}

/// One writer: a queue, a connection, a task.
#[derive(Debug)]
pub(super) struct Shard {
    jobs: mpsc::Receiver<Job>,
    held: Option<Job>,
    database: Arc<Database>,
    connection: Option<Writer>,
    metrics: Metrics,
    last_commit: Instant,
}

impl Shard {
    pub(super) fn new(jobs: mpsc::Receiver<Job>, database: Arc<Database>, metrics: Metrics) -> Self {
        Self {
            jobs,
            held: None,
            database,
            connection: None,
            metrics,
            last_commit: Instant::now(),
        }
    }

    /// Commits what is queued until every session has gone.
    pub(super) async fn run(mut self) {
        while let Some(lot) = self.gather().await {
            self.settle(lot).await;
            self.last_commit = Instant::now();
        }
    }

    async fn gather(&mut self) -> Option<Lot> {
        let mut lot = Lot::default();
        let first = match self.held.take() {
            Some(job) => job,
            None => self.jobs.recv().await?,
        };
        let mut next = Some(first);
        let until = self.last_commit + GATHER;
        while let Some(job) = next {
            if let Err(job) = lot.push(job) {
                self.held = Some(job);
                break;
            }
            if lot.rows >= BATCH_ROWS {
                break;
            }
            next = match self.jobs.try_recv() {
                Ok(job) => Some(job),
                Err(_) => timeout_at(until, self.jobs.recv()).await.ok().flatten(),
            };
        }
        Some(lot)
    }

    /// Commits a lot, and what can be committed of it when some of its data is refused.
    async fn settle(&mut self, lot: Lot) {
        let mut jobs = lot.jobs;
        self.metrics
            .queue
            .dec_by(i64::try_from(jobs.len()).unwrap_or(i64::MAX));
        // One host's frames side by side, still in their order: when one is refused, those behind it come next.
        jobs.sort_by_key(|job| job.batch.host_id);
        let mut lot = Settling::new(jobs);
        let mut ranges = vec![Range {
            start: 0,
            end: lot.batches.len(),
        }];
        while let Some(range) = ranges.pop() {
            let range = lot.without_poisoned(range);
            if range.is_empty() {
                continue;
            }
            match self.commit(&lot.batches[range.clone()]).await {
                Ok(()) => lot.settle(range, Outcome::Committed),
                Err(Failure::Stopping) => return,
                Err(Failure::Refused(error)) if range.len() == 1 => {
                    let batch = &lot.batches[range.start];
                    tracing::error!(
                        host.db_id = batch.host_id,
                        batch.epoch = batch.epoch,
                        batch.ticks = batch.ticks.len(),
                        error = &error as &dyn std::error::Error,
                        "the database refuses a frame's data: its session is closed and the samples stay with the agent"
                    );
                    lot.settle(range, Outcome::Refused);
                }
                Err(Failure::Refused(_)) => {
                    let middle = range.start + range.len() / 2;
                    ranges.extend([middle..range.end, range.start..middle]);
                }
            }
        }
    }

    /// Commits `batches` in one transaction, however long the database takes.
    async fn commit(&mut self, batches: &[HostBatch]) -> Result<(), Failure> {
        let database = Arc::clone(&self.database);
        let mut attempts = database.availability.attempts();
        loop {
            let begin = Instant::now();
            match self.attempt(batches).await {
                Ok(committed) => {
                    attempts.succeeded();
                    self.metrics.commit_seconds.observe(begin.elapsed().as_secs_f64());
                    self.metrics.commits.inc();
                    self.metrics.rows.inc_by(committed.rows);
                    self.metrics.ticks.inc_by(committed.ticks);
                    self.metrics.duplicates.inc_by(committed.duplicates);
                    return Ok(());
                }
                Err(error) => {
                    self.connection = None;
                    attempts.failed(error).await?;
                }
            }
        }
    }

    async fn attempt(&mut self, batches: &[HostBatch]) -> Result<Committed, vmscope_store::Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.database.writer().await?),
        };
        connection.commit(batches).await
    }
}

/// A lot while it is settled: tickets go as their batches are done.
struct Settling {
    batches: Vec<HostBatch>,
    tickets: Vec<Option<Ticket>>,
}

impl Settling {
    /// Takes the jobs, and refuses those of sessions that were refused in an earlier lot.
    fn new(jobs: Vec<Job>) -> Self {
        let (poisoned, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.ticket.is_poisoned());
        for job in poisoned {
            job.ticket.settle(Outcome::Refused);
        }
        let (batches, tickets) = jobs.into_iter().map(|job| (job.batch, Some(job.ticket))).unzip();
        Self { batches, tickets }
    }

    fn settle(&mut self, range: Range<usize>, outcome: Outcome) {
        for ticket in self.tickets[range].iter_mut().filter_map(Option::take) {
            ticket.settle(outcome);
        }
    }

    /// `range` without what stands at its beginning behind a refused frame of the same session.
    fn without_poisoned(&mut self, mut range: Range<usize>) -> Range<usize> {
        while let Some(ticket) = self.tickets[range.clone()].first_mut()
            && ticket.as_ref().is_none_or(Ticket::is_poisoned)
        {
            if let Some(ticket) = ticket.take() {
                ticket.settle(Outcome::Refused);
            }
            range.start += 1;
        }
        range
    }
}
