//! What the collector counts about itself, for Prometheus.

use crate::rollup;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use vmscope_link::Cause;

/// A label set of one label.
type Label = [(&'static str, &'static str); 1];

/// The collector's own figures. Cloning shares them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    refused: Family<Label, Counter>,
    enrolments: Family<Label, Counter>,
    renewals: Family<Label, Counter>,
    certificate_expiry: Gauge,
    sessions: Family<Label, Gauge>,
    /// Frames received from agents and decoded.
    frames: Counter,
    /// Those of them that had waited too long to be live.
    backlog_frames: Counter,
    /// Bytes of those frames' bodies, as received.
    pub(crate) frame_bytes: Counter,
    /// Sample rows committed.
    pub(crate) rows: Counter,
    /// Ticks committed.
    pub(crate) ticks: Counter,
    /// Ticks received again after a reconnect and found committed already.
    pub(crate) duplicates: Counter,
    /// Transactions committed.
    commits: Counter,
    /// Their times since these were last asked for.
    lately: Arc<Mutex<CommitTimes>>,
    /// Commits and look-ups that failed and were tried again.
    pub(crate) database_retries: Counter,
    /// Seconds a commit took.
    commit_seconds: Histogram,
    /// Times that a session had to wait because of a limit.
    pub(crate) paced: Counter,
    /// Hosts whose clock is off by more than the limit.
    pub(crate) clocks_off: Gauge,
    /// Frames queued for the writers.
    pub(crate) queue: Gauge,
    /// Sample rows decoded and not yet committed.
    pub(crate) rows_in_flight: Gauge,
    /// Ticks sent to subscribers of the live feed.
    pub(crate) feed_ticks: Counter,
    /// Ticks that slow subscribers of the live feed missed.
    pub(crate) feed_dropped: Counter,
    pub(crate) rollup: rollup::Figures,
}

/// How long commits took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CommitTimes {
    /// How many.
    pub(crate) count: u32,
    /// All together.
    pub(crate) sum: Duration,
    /// The longest.
    pub(crate) longest: Duration,
}

impl Metrics {
    /// Registers every figure with `registry`.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            refused: Family::default(),
            enrolments: Family::default(),
            renewals: Family::default(),
            certificate_expiry: Gauge::default(),
            sessions: Family::default(),
            frames: Counter::default(),
            backlog_frames: Counter::default(),
            frame_bytes: Counter::default(),
            rows: Counter::default(),
            ticks: Counter::default(),
            duplicates: Counter::default(),
            commits: Counter::default(),
            lately: Arc::default(),
            database_retries: Counter::default(),
            // 1 ms to 16 s.
            commit_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            paced: Counter::default(),
            clocks_off: Gauge::default(),
            queue: Gauge::default(),
            rows_in_flight: Gauge::default(),
            feed_ticks: Counter::default(),
            feed_dropped: Counter::default(),
            rollup: rollup::Figures::default(),
        };
        for cause in Cause::ALL {
            drop(metrics.refused.get_or_create(&[("cause", cause.name())]));
        }
        metrics.register(registry.sub_registry_with_prefix("vmscope_collector"));
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        self.register_flow(registry);
        self.rollup.register(registry);
        registry.register(
            "refused",
            "Connections and sessions refused or broken off, by cause",
            self.refused.clone(),
        );
        registry.register(
            "enrolments",
            "Hosts that asked for their first certificate, by what came of it",
            self.enrolments.clone(),
        );
        registry.register(
            "renewals",
            "Agents that asked for their next certificate, by what came of it",
            self.renewals.clone(),
        );
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When this collector's own certificate expires, in seconds since the Unix epoch",
            self.certificate_expiry.clone(),
        );
        registry.register("sessions", "Open sessions, by role", self.sessions.clone());
        registry.register("frames", "Frames received from agents", self.frames.clone());
        registry.register(
            "frame_bytes",
            "Bytes of frames received from agents",
            self.frame_bytes.clone(),
        );
        registry.register("rows", "Sample rows committed", self.rows.clone());
        registry.register("ticks", "Ticks committed", self.ticks.clone());
        registry.register(
            "duplicates",
            "Ticks received again and already committed",
            self.duplicates.clone(),
        );
        registry.register("commits", "Transactions committed", self.commits.clone());
        registry.register(
            "database_retries",
            "Database calls that failed and were tried again",
            self.database_retries.clone(),
        );
        registry.register(
            "commit_seconds",
            "Seconds a commit took",
            self.commit_seconds.clone(),
        );
        registry.register(
            "feed_ticks",
            "Ticks sent to subscribers of the live feed",
            self.feed_ticks.clone(),
        );
        registry.register(
            "feed_dropped_ticks",
            "Ticks that slow subscribers of the live feed missed",
            self.feed_dropped.clone(),
        );
    }

    fn register_flow(&self, registry: &mut Registry) {
        registry.register(
            "backlog_frames",
            "Frames received from agents that had waited too long to be live",
            self.backlog_frames.clone(),
        );
        registry.register(
            "paced",
            "Times that a session was read later because of a limit",
            self.paced.clone(),
        );
        registry.register(
            "clocks_off",
            "Hosts whose clock differed by more than the limit when their last session began",
            self.clocks_off.clone(),
        );
        registry.register("queue", "Frames queued for the writers", self.queue.clone());
        registry.register(
            "rows_in_flight",
            "Sample rows decoded and not yet committed",
            self.rows_in_flight.clone(),
        );
    }

    /// Counts a frame.
    pub(crate) fn frame(&self, live: bool) {
        self.frames.inc();
        if !live {
            self.backlog_frames.inc();
        }
    }

    /// Counts a commit.
    pub(crate) fn commit(&self, took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
        let mut lately = self.lately();
        lately.count += 1;
        lately.sum += took;
        lately.longest = lately.longest.max(took);
    }

    /// How long commits took since this was last asked.
    pub(crate) fn commits_lately(&self) -> CommitTimes {
        std::mem::take(&mut *self.lately())
    }

    fn lately(&self) -> MutexGuard<'_, CommitTimes> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Agents' open sessions.
    pub(crate) fn agents(&self) -> i64 {
        self.sessions.get_or_create(&[("role", "agent")]).get()
    }

    /// Counts a refusal.
    pub(crate) fn refuse(&self, cause: &'static str) {
        self.refused.get_or_create(&[("cause", cause)]).inc();
    }

    /// Counts what came of an enrolment.
    pub(crate) fn enrolled(&self, outcome: &'static str) {
        self.enrolments.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Counts what came of a renewal.
    pub(crate) fn renewed(&self, outcome: &'static str) {
        self.renewals.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Notes when the collector's own certificate expires.
    pub(crate) fn expires(&self, since_epoch_s: u64) {
        self.certificate_expiry
            .set(i64::try_from(since_epoch_s).unwrap_or(i64::MAX));
    }

    /// Counts an open session of `role` until the answer is dropped.
    pub(crate) fn session(&self, role: &'static str) -> OpenSession {
        let sessions = self.sessions.get_or_create_owned(&[("role", role)]);
        sessions.inc();
        OpenSession(sessions)
    }
}

/// A session that is counted as open while this lives.
#[derive(Debug)]
pub(crate) struct OpenSession(Gauge);

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.0.dec();
    }
}
