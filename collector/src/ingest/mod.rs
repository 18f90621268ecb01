//! From sessions to committed rows.
//!
//! ```text
//! session (one per agent): pay -> read frame -> decode -> budget -> ids -> queue of the host's writer, live or backlog
//!                          send Ack   <-                    outcome     <- commit
//! ```
//! Invariants: a frame is acknowledged only after its commit; a host's frames are committed in the order in which its
//! agent sent them, and only while its session is the host's newest at any collector (the fence); what is decoded and not
//! committed is bounded by the budget of rows, whoever sends. When the database is slow or away, the budget runs out,
//! sessions stop reading, and QUIC's flow control makes the agents keep the rest. Live frames go before backlog
//! everywhere: at the limits, at the budget, and in the writers.
//!
//! The end: sessions stop reading, writers commit what is queued, sessions send the acknowledgements and close.

mod agent;
mod budget;
mod clock;
mod intake;
mod pace;
mod queue;
mod registry;
mod session;
mod writer;

use crate::config::Config;
use crate::database::Database;
use crate::enrol::Registrar;
use crate::enrol::gate::Gate;
use crate::feed::Hub;
use crate::metrics::Metrics;
pub(crate) use session::{End, Refusal, welcome};

use budget::Budget;
use clock::Clocks;
use pace::Pace;
use queue::Lane;
use registry::Registry;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use vmscope_link::Listener;
use vmscope_service::Lifecycle;
use writer::{Job, Shard};

/// Agents' sessions that may begin at the same time: each holds a connection of the pool while the database makes it the
/// host's newest, and others need some too.
const BEGINNINGS: usize = 4;

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Centre {
    /// This collector's name.
    name: String,
    pub(crate) database: Arc<Database>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Metrics,
    pub(crate) stopping: CancellationToken,
    gate: Arc<Gate>,
    registrar: Arc<Registrar>,
    registry: Arc<Registry>,
    beginnings: Semaphore,
    clocks: Clocks,
    pace: Pace,
    budget: Budget,
    writers: Writers,
}

/// Who is let in, and who gets certificates.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) gate: Arc<Gate>,
    pub(crate) registrar: Arc<Registrar>,
}

impl Centre {
    /// Starts the writers of the collector called `name`.
    pub(crate) fn start(
        name: String,
        database: Arc<Database>,
        door: Door,
        config: &Config,
        metrics: &Metrics,
        lifecycle: &Lifecycle,
    ) -> Arc<Self> {
        let queues = (0..config.database.writers.get())
            .map(|_| {
                let (sender, jobs) = queue::queue();
                lifecycle.spawn(
                    "writer",
                    Shard::new(jobs, Arc::clone(&database), metrics.clone()).run(),
                );
                sender
            })
            .collect();
        Arc::new(Self {
            name,
            database,
            hub: Arc::new(Hub::new(metrics.clone())),
            metrics: metrics.clone(),
            stopping: lifecycle.stopping(),
            gate: door.gate,
            registrar: door.registrar,
            registry: Arc::default(),
            beginnings: Semaphore::new(BEGINNINGS),
            clocks: Clocks::new(config.limits.clock_offset(), metrics.clocks_off.clone()),
            pace: Pace::new(config.limits.clone(), metrics.clone()),
            budget: Budget::new(config.database.rows_in_flight, metrics.rows_in_flight.clone()),
            writers: Writers {
                queues,
                metrics: metrics.clone(),
            },
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

/// The writers' queues: each host has one writer.
#[derive(Debug)]
struct Writers {
    queues: Vec<queue::Sender<Job>>,
    metrics: Metrics,
}

impl Writers {
    /// Hands `job` to the one writer of its host; fails when that has stopped.
    async fn send(&self, lane: Lane, job: Job) -> Result<(), queue::Stopped> {
        let writer = job.batch.host_id.unsigned_abs() as usize % self.queues.len();
        let (session, rows) = (job.ticket.session, job.ticket.admission.rows);
        self.queues[writer].send(session, lane, rows, job).await?;
        self.metrics.queue.inc();
        Ok(())
    }
}
