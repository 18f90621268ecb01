//! The database as the collector sees it: sometimes away, and then waited for.
//!
//! Whether it answers is one state for the whole collector: each change is logged once and shows in `/readyz`, each
//! failed call is counted.

use crate::config;
use crate::metrics::Metrics;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vmscope_link::Backoff;
use vmscope_service::{Secret, admin::Check};
use vmscope_store::{Error, Store, ingest::Writer, schema};

/// First pause before a failed call is tried again.
const RETRY_BASE: Duration = Duration::from_millis(50);

/// Longest pause between two tries.
const RETRY_CAP: Duration = Duration::from_secs(2);

/// Why a call was given up.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The collector stops and the database does not answer.
    Stopping,
    /// Trying again would not help.
    Refused(Error),
}

/// Whether the database answers.
#[derive(Debug)]
pub(crate) struct Availability {
    up: AtomicBool,
    check: Check,
    metrics: Metrics,
    stopping: CancellationToken,
}

impl Availability {
    pub(crate) fn new(check: Check, metrics: Metrics, stopping: CancellationToken) -> Self {
        Self {
            up: AtomicBool::new(true),
            check,
            metrics,
            stopping,
        }
    }

    /// Begins a call that is tried until the database answers.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts {
            availability: self,
            backoff: Backoff::new(RETRY_BASE, RETRY_CAP),
        }
    }

    /// Repeats `call` until the database answers.
    pub(crate) async fn insist<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut attempts = self.attempts();
        loop {
            match call().await {
                Ok(answer) => {
                    attempts.succeeded();
                    return Ok(answer);
                }
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    fn answers(&self) {
        if !self.up.swap(true, Ordering::Relaxed) {
            tracing::info!("database answers again");
        }
        self.check.up();
    }

    fn does_not_answer(&self, error: &Error) {
        self.metrics.database_retries.inc();
        let causes = chain(error);
        if self.up.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                error = causes,
                "database does not answer: agents keep their samples until it does"
            );
        }
        self.check.down(causes);
    }
}

/// The tries of one call.
pub(crate) struct Attempts<'a> {
    availability: &'a Availability,
    backoff: Backoff,
}

impl Attempts<'_> {
    /// The call got an answer.
    pub(crate) fn succeeded(&self) {
        self.availability.answers();
    }

    /// The call failed: pauses before the next try, or says why there is none.
    ///
    /// A connection that can't be opened is waited for whatever the reason: it is never the data's fault.
    pub(crate) async fn failed(&mut self, error: Error) -> Result<(), Failure> {
        if !(error.is_transient() || matches!(error, Error::Connect(_) | Error::Pool(_))) {
            return Err(Failure::Refused(error));
        }
        self.availability.does_not_answer(&error);
        tokio::select! {
            () = self.availability.stopping.cancelled() => Err(Failure::Stopping),
            () = tokio::time::sleep(self.backoff.next_delay()) => Ok(()),
        }
    }
}

/// The open database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) store: Store,
    pub(crate) availability: Availability,
    url: Secret<String>,
}

impl Database {
    /// Connects and brings the schema and its rights up to date, however long the database takes.
    pub(crate) async fn open(config: &config::Database, availability: Availability) -> Result<Self, Failure> {
        let store = availability.insist(|| prepare(config)).await?;
        Ok(Self {
            store,
            availability,
            url: config.url.clone(),
        })
    }

    /// Opens a connection for writing.
    pub(crate) async fn writer(&self) -> Result<Writer, Error> {
        Writer::connect(self.url.expose()).await
    }
}

/// Brings the schema up to date, and the rights of the web servers' role.
pub(crate) async fn prepare(config: &config::Database) -> Result<Store, Error> {
    let store = Store::open(config.url.expose()).await?;
    if let Some(role) = &config.web_role {
        schema::grant_web(&store, role).await?;
    }
    Ok(store)
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing into a string can't fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
