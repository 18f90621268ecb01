//! From sessions to committed rows.
//!
//! ```text
//! session (one per agent): read frame -> decode -> budget -> ids -> queue of the host's writer
//!                          send Ack   <-             outcome      <- commit
//! ```
//! Invariants: a frame is acknowledged only after its commit; a host's frames are committed in the order in which its
//! agent sent them; what is decoded and not committed is bounded by the budget of rows, whoever sends. When the database
//! is slow or away, the budget runs out, sessions stop reading, and QUIC's flow control makes the agents keep the rest.
//!
//! The end: sessions stop reading, writers commit what is queued, sessions send the acknowledgements and close.

mod agent;
mod intake;
mod registry;
mod session;
mod writer;

use crate::database::Database;
use crate::enrol::Registrar;
use crate::enrol::gate::Gate;
use crate::feed::Hub;
use crate::metrics::Metrics;
pub(crate) use session::{End, Refusal, welcome};

use prometheus_client::metrics::gauge::Gauge;
use registry::Registry;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use vmscope_link::Listener;
use vmscope_service::Lifecycle;
use writer::{Job, QUEUE_FRAMES, Shard};

/// Sessions that may hold a decoded frame while they wait for the budget: after an outage every agent sends its backlog,
/// and what waits has to wait small.
const DECODED_WAITING: usize = 64;

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Centre {
    pub(crate) database: Arc<Database>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Metrics,
    pub(crate) stopping: CancellationToken,
    gate: Arc<Gate>,
    registrar: Arc<Registrar>,
    registry: Arc<Registry>,
    writers: Writers,
}

impl Centre {
    /// Starts the writers.
    pub(crate) fn start(
        database: Arc<Database>,
        config: &crate::config::Database,
        metrics: &Metrics,
        lifecycle: &Lifecycle,
        gate: Arc<Gate>,
        registrar: Arc<Registrar>,
    ) -> Arc<Self> {
        let shards = (0..config.writers.get())
            .map(|_| {
                let (sender, jobs) = mpsc::channel(QUEUE_FRAMES);
                lifecycle.spawn(
                    "writer",
                    Shard::new(jobs, Arc::clone(&database), metrics.clone()).run(),
                );
                sender
            })
            .collect();
        Arc::new(Self {
            database,
            hub: Arc::new(Hub::new(metrics.clone())),
            metrics: metrics.clone(),
            stopping: lifecycle.stopping(),
            gate,
            registrar,
            registry: Arc::default(),
            writers: Writers::new(shards, config.rows_in_flight, metrics.clone()),
        })
    }
}

/// Accepts sessions until the collector stops.
pub(crate) async fn accept(listener: Arc<Listener>, centre: Arc<Centre>, lifecycle: Lifecycle) {
    loop {
        let incoming = tokio::select! {
            incoming = listener.accept() => incoming,
            () = centre.stopping.cancelled() => return,
        };
        let Some(incoming) = incoming else { return };
        // Their number is bounded by the listener's limits.
        lifecycle.spawn_finite("session", session::serve(incoming, Arc::clone(&centre)));
    }
}

/// The writers' queues, and the budget of rows that may be in them.
#[derive(Debug)]
struct Writers {
    queues: Vec<mpsc::Sender<Job>>,
    turns: Semaphore,
    budget: Arc<Semaphore>,
    budget_rows: u32,
    metrics: Metrics,
}

impl Writers {
    fn new(queues: Vec<mpsc::Sender<Job>>, rows_in_flight: NonZeroU32, metrics: Metrics) -> Self {
        let budget_rows = rows_in_flight.get();
        let budget = Arc::new(Semaphore::new(budget_rows as usize));
        Self {
            queues,
            turns: Semaphore::new(DECODED_WAITING),
            budget,
            budget_rows,
            metrics,
        }
    }

    /// Waits for the right to decode a frame and to wait for the budget with it.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.turns.acquire().await
    }

    /// Waits until `rows` more rows may be in memory. More than the whole budget wait for the whole budget.
    async fn admit(&self, rows: usize) -> Result<Admission, AcquireError> {
        let share = u32::try_from(rows).unwrap_or(u32::MAX).min(self.budget_rows);
        let permit = Arc::clone(&self.budget).acquire_many_owned(share).await?;
        Ok(Admission::new(rows, permit, self.metrics.rows_in_flight.clone()))
    }

    /// Hands `job` to the one writer of its host; fails when that has stopped.
    async fn send(&self, job: Job) -> Result<(), SendError<Job>> {
        let writer = job.batch.host_id.unsigned_abs() as usize % self.queues.len();
        let Ok(slot) = self.queues[writer].reserve().await else {
            return Err(SendError(job));
        };
        self.metrics.queue.inc();
        slot.send(job);
        Ok(())
    }
}

/// Rows that may be in memory while this lives.
#[derive(Debug)]
struct Admission {
    rows: usize,
    in_flight: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    fn new(rows: usize, permit: OwnedSemaphorePermit, in_flight: Gauge) -> Self {
        let admission = Self {
            rows,
            in_flight,
            _permit: permit,
        };
        admission.in_flight.inc_by(admission.count());
        admission
    }

    fn count(&self) -> i64 {
        i64::try_from(self.rows).unwrap_or(i64::MAX)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.in_flight.dec_by(self.count());
    }
}
