//! Birth, failure and orderly end of the tasks of a daemon.
//!
//! Every task is spawned here, so that none can die unseen: each has a name and a tracing span, and a panic, an error or
//! an end before its time stops the whole daemon with a failing exit code. A daemon in half is worse than one that its
//! service manager starts again.
//!
//! # The end
//! 1. A signal (SIGTERM, SIGINT), a failure or [`Lifecycle::stop`] cancels the [`Lifecycle::stopping`] token.
//! 2. Tasks drain **in the order of the data**: whatever takes data in from outside ends on the token; whatever takes data
//!    from another task ends when that task has dropped its end of the channel and the channel is empty. So nothing that
//!    was accepted is lost, and no order has to be written down twice.
//! 3. Tasks that are still alive after the drain deadline ([`DRAIN_DEADLINE`] unless changed), or at a second signal, are
//!    abandoned, named in the log, and the exit code is a failing one.

use crate::notify::{self, State};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// How long tasks may take to drain after the stop, unless [`Lifecycle::with_drain_deadline`] says otherwise.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

/// What a task may end with: nothing, or a result whose error stops the daemon.
pub trait Outcome: Send + 'static {
    /// The error, if the task failed.
    fn failure(self) -> Option<anyhow::Error>;
}

impl Outcome for () {
    fn failure(self) -> Option<anyhow::Error> {
        None
    }
}

impl<E: Into<anyhow::Error> + Send + 'static> Outcome for Result<(), E> {
    fn failure(self) -> Option<anyhow::Error> {
        self.err().map(Into::into)
    }
}

/// How a daemon ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every task drained and none failed.
    Clean,
    /// These tasks failed, in the order in which they did.
    Failed(Vec<&'static str>),
    /// No task failed, but these had not drained at the deadline.
    Abandoned(Vec<&'static str>),
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Clean => Self::SUCCESS,
            Ending::Failed(_) | Ending::Abandoned(_) => Self::FAILURE,
        }
    }
}

/// The life of one daemon, or of one test; clones are the same life.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    stopping: CancellationToken,
    tracker: TaskTracker,
    record: Arc<Mutex<Record>>,
    drain_deadline: Duration,
}

#[derive(Debug, Default)]
struct Record {
    /// How many tasks of each name are alive.
    alive: BTreeMap<&'static str, usize>,
    failed: Vec<&'static str>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A life without tasks. Signals are not touched before [`run`](Self::run).
    pub fn new() -> Self {
        Self::with_drain_deadline(DRAIN_DEADLINE)
    }

    /// A life whose tasks may take `drain_deadline` to end after the stop.
    pub fn with_drain_deadline(drain_deadline: Duration) -> Self {
        Self {
            stopping: CancellationToken::new(),
            tracker: TaskTracker::new(),
            record: Arc::default(),
            drain_deadline,
        }
    }

    /// Spawns a task that lives until the stop. Ending earlier, failing or panicking stops the daemon.
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.watch(name, Lifetime::UntilStop, future);
    }

    /// Spawns a task that may end whenever its work is done (one session, one request). Failing or panicking stops the
    /// daemon all the same, so such a task handles the errors that it expects itself.
    ///
    /// Whoever calls this bounds how many there are.
    pub fn spawn_finite<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.watch(name, Lifetime::Finite, future);
    }

    /// The token that is cancelled when the daemon has to end.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Asks the daemon to end; returns at once.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Serves until SIGTERM, SIGINT, a failure or [`stop`](Self::stop), then drains and gives the exit code of the process.
    ///
    /// Called when everything is built and bound: it tells the service manager that the daemon is ready.
    pub async fn run(self) -> ExitCode {
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => {
                tracing::error!(%error, "signals can't be handled");
                return ExitCode::FAILURE;
            }
        };
        notify::notify(State::Ready);
        tokio::select! {
            name = signals.next() => tracing::info!(signal = name, "stopping at a signal"),
            () = self.stopping.cancelled() => {}
        }
        notify::notify(State::Stopping);
        let ending = tokio::select! {
            ending = self.shutdown() => ending,
            name = signals.next() => {
                tracing::warn!(signal = name, "not waiting for the rest at a second signal");
                self.ending()
            }
        };
        ending.into()
    }

    /// Stops the tasks and waits until they have drained or the deadline has passed.
    pub async fn shutdown(&self) -> Ending {
        self.stop();
        self.tracker.close();
        // Whether the tasks made it or not is read off the record.
        let _ = tokio::time::timeout(self.drain_deadline, self.tracker.wait()).await;
        self.ending()
    }

    fn ending(&self) -> Ending {
        let record = self.record();
        let abandoned: Vec<_> = record.alive.keys().copied().collect();
        if !abandoned.is_empty() {
            tracing::error!(
                tasks = abandoned.join(" "),
                "tasks abandoned before they had drained"
            );
        }
        match (record.failed.is_empty(), abandoned.is_empty()) {
            (false, _) => Ending::Failed(record.failed.clone()),
            (true, false) => Ending::Abandoned(abandoned),
            (true, true) => Ending::Clean,
        }
    }

    fn watch<F>(&self, name: &'static str, lifetime: Lifetime, future: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        *self.record().alive.entry(name).or_default() += 1;
        // The inner task turns a panic into a value; the outer one judges how it ended.
        let task = tokio::spawn(future.instrument(tracing::info_span!("task", name)));
        let life = self.clone();
        self.tracker.spawn(async move {
            let failure = match task.await {
                Ok(outcome) => outcome.failure(),
                Err(error) => Some(error.into()),
            };
            life.judge(name, lifetime, failure);
        });
    }

    fn judge(&self, name: &'static str, lifetime: Lifetime, failure: Option<anyhow::Error>) {
        let early = matches!(lifetime, Lifetime::UntilStop) && !self.stopping.is_cancelled();
        let failed = failure.is_some() || early;
        match failure {
            Some(error) => tracing::error!(task = name, error = format!("{error:#}"), "task failed"),
            None if early => tracing::error!(task = name, "task ended before its time"),
            None => {}
        }
        let mut record = self.record();
        if let Some(count) = record.alive.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                record.alive.remove(name);
            }
        }
        if failed {
            record.failed.push(name);
            drop(record);
            self.stop();
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy)]
enum Lifetime {
    UntilStop,
    Finite,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
