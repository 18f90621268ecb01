//! Writers: each has its own database connection and commits the frames of its hosts.
//!
//! All frames of a host pass through one writer, in the order of their sessions. A writer gathers what many sessions
//! have queued into one transaction: at once when it was idle, else for up to [`GATHER`] or [`BATCH_ROWS`] rows. Live
//! frames come first; backlog gets the rest, and while there are live frames at all no more than [`BACKLOG_ROWS`] of it,
//! so that a live frame waits for one short transaction at most before its own.
//!
//! Failure: while the database does not answer, the same transaction is tried again for ever, and the bounded queue
//! makes sessions stop reading. Trying again after an ambiguous commit is safe, because the progress mark in the
//! transaction makes ticks that did arrive fall out. When the database refuses the data for good, the lot is halved
//! until the offending frame stands alone; its session is refused with everything it has queued behind that frame
//! (so the mark never passes a tick that was not stored), and the other sessions go on. When the fence says that a newer
//! session speaks for a host, here or at another collector, the older one's frames are dropped and its session ends.

use super::budget::Admission;
use super::queue::Receiver;
use crate::database::{Database, Failure};
use crate::metrics::Metrics;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use vmscope_store::Error;
use vmscope_store::ingest::{Committed, HostBatch, Writer};

/// A transaction takes no further frame once it has this many rows.
pub(super) const BATCH_ROWS: usize = 50_000;

/// How long after its last commit a writer gathers frames before the next one.
const GATHER: Duration = Duration::from_millis(100);

/// While live frames come, a transaction takes no further backlog once it has this many rows of it: a tenth of a second.
pub(super) const BACKLOG_ROWS: usize = 10_000;

/// How long after the last live frame others are still expected.
const LIVE_MEMORY: Duration = Duration::from_secs(5);

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
    /// Set when a frame of the session could not be committed: nothing behind it may be.
    pub(super) broken: Arc<OnceLock<Outcome>>,
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
    /// A newer session speaks for the host.
    Replaced,
}

impl Ticket {
    /// What became of the session, when that is not well.
    fn breach(&self) -> Option<Outcome> {
        self.broken.get().copied()
    }

    fn settle(self, outcome: Outcome) {
        if outcome != Outcome::Committed {
            // The first breach is the one that the session hears of.
            let _ = self.broken.set(outcome);
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
    backlog_rows: usize,
}

/// One writer: a queue, a connection, a task.
#[derive(Debug)]
pub(super) struct Shard {
    jobs: Receiver<Job>,
    database: Arc<Database>,
    connection: Option<Writer>,
    metrics: Metrics,
    last_commit: Instant,
    /// Until when live frames are expected.
    live_until: Instant,
}

impl Shard {
    pub(super) fn new(jobs: Receiver<Job>, database: Arc<Database>, metrics: Metrics) -> Self {
        Self {
            jobs,
            database,
            connection: None,
            metrics,
            last_commit: Instant::now(),
            live_until: Instant::now(),
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
        if !self.jobs.filled().await {
            return None;
        }
        let until = self.last_commit + GATHER;
        let mut lot = Lot::default();
        while !self.fill(&mut lot) {
            if !matches!(timeout_at(until, self.jobs.filled()).await, Ok(true)) {
                break;
            }
        }
        Some(lot)
    }

    /// Takes what is queued into the lot, live frames first; says whether it is full.
    fn fill(&mut self, lot: &mut Lot) -> bool {
        while lot.rows < BATCH_ROWS {
            let Some((rows, job)) = self.jobs.take_live() else {
                break;
            };
            lot.rows += rows;
            lot.jobs.push(job);
            self.live_until = Instant::now() + LIVE_MEMORY;
        }
        let most = if Instant::now() < self.live_until {
            BACKLOG_ROWS
        } else {
            BATCH_ROWS
        };
        while lot.rows < BATCH_ROWS && lot.backlog_rows < most {
            let Some((rows, job)) = self.jobs.take_backlog() else {
                break;
            };
            lot.rows += rows;
            lot.backlog_rows += rows;
            lot.jobs.push(job);
        }
        lot.rows >= BATCH_ROWS || lot.backlog_rows >= most
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
            let range = lot.without_broken(range);
            if range.is_empty() {
                continue;
            }
            match self.commit(&lot.batches[range.clone()]).await {
                Ok(()) => lot.settle(range, Outcome::Committed),
                Err(Failure::Stopping) => return,
                Err(Failure::Refused(Error::Fenced { batches })) => {
                    ranges.extend(lot.replace(range, &batches));
                }
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
                    self.metrics.commit(begin.elapsed());
                    self.metrics.rows.inc_by(committed.rows);
                    self.metrics.ticks.inc_by(committed.ticks);
                    self.metrics.duplicates.inc_by(committed.duplicates);
                    return Ok(());
                }
                Err(error) => {
                    if !matches!(error, Error::Fenced { .. }) {
                        self.connection = None;
                    }
                    attempts.failed(error).await?;
                }
            }
        }
    }

    async fn attempt(&mut self, batches: &[HostBatch]) -> Result<Committed, Error> {
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
    /// Takes the jobs, without those of sessions that came to their end in an earlier lot.
    fn new(jobs: Vec<Job>) -> Self {
        let mut lot = Self {
            batches: Vec::with_capacity(jobs.len()),
            tickets: Vec::with_capacity(jobs.len()),
        };
        for Job { batch, ticket } in jobs {
            if let Some(breach) = ticket.breach() {
                ticket.settle(breach);
            } else {
                lot.batches.push(batch);
                lot.tickets.push(Some(ticket));
            }
        }
        lot
    }

    fn settle(&mut self, range: Range<usize>, outcome: Outcome) {
        for ticket in self.tickets[range].iter_mut().filter_map(Option::take) {
            ticket.settle(outcome);
        }
    }

    /// Drops the `old` batches of `range`, counted from its beginning, and gives what is left of it, last part first.
    fn replace(&mut self, range: Range<usize>, old: &[usize]) -> Vec<Range<usize>> {
        let mut rest = Vec::new();
        let mut begin = range.start;
        for index in old.iter().map(|index| range.start + index) {
            self.settle(index..index + 1, Outcome::Replaced);
            rest.push(begin..index);
            begin = index + 1;
        }
        rest.push(begin..range.end);
        rest.reverse();
        rest
    }

    /// `range` without what stands at its beginning behind a frame of the same session that could not be committed.
    fn without_broken(&mut self, mut range: Range<usize>) -> Range<usize> {
        while let Some(ticket) = self.tickets[range.clone()].first_mut() {
            let breach = ticket.as_ref().map(Ticket::breach);
            match breach {
                Some(None) => break,
                Some(Some(breach)) => self.settle(range.start..range.start + 1, breach),
                None => {}
            }
            range.start += 1;
        }
        range
    }
}
