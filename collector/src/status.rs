//! What this collector says of itself in the database, for the health page: a heartbeat with a few figures, and what its
//! periodic work came to.
//!
//! Failure: a heartbeat that can't be written is left out; who reads takes a collector without heartbeats for silent.
//! When another collector starts under the same name, the row is that one's; this one says so once and goes on without.

use crate::database::{Database, Failure, chain};
use crate::metrics::Metrics;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use vmscope_service::periodic::{Handle, Last, Status};
use vmscope_store::Error;
use vmscope_store::collector::{self, Activity, Introduction, Pulse};

/// How often the heart beats.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// How long the last word may take when the collector stops.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);

/// Makes a collector known that listens at `address`: before its first session.
pub(crate) async fn introduce(
    database: &Database,
    name: String,
    address: String,
    writers: u16,
) -> Result<Introduction, Failure> {
    let introduction = Introduction {
        name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address,
        started_at: Timestamp::now(),
        writers: writers.into(),
    };
    database
        .availability
        .insist(|| collector::introduce(&database.store, &introduction))
        .await?;
    Ok(introduction)
}

/// A collector's heart.
pub(crate) struct Heart {
    database: Arc<Database>,
    introduction: Introduction,
    metrics: Metrics,
    /// The periodic work, and what was last written of each.
    work: Vec<(Handle, Option<Last>)>,
    /// Rows committed up to the last heartbeat, and when that was.
    before: (u64, Instant),
    /// Another collector uses the name.
    replaced: bool,
}

impl Heart {
    pub(crate) fn new(
        database: Arc<Database>,
        introduction: Introduction,
        metrics: Metrics,
        work: Vec<Handle>,
    ) -> Self {
        Self {
            database,
            introduction,
            metrics,
            work: work.into_iter().map(|handle| (handle, None)).collect(),
            before: (0, Instant::now()),
            replaced: false,
        }
    }

    /// Beats until the collector stops.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            if let Err(error) = self.beat().await {
                tracing::debug!(error = chain(&error), "heartbeat not written");
            }
            // The answer is read off the token at the loop's head.
            let _ = timeout(BEAT_EVERY, stopping.cancelled()).await;
        }
        let stopped = collector::stopped(&self.database.store, &self.introduction);
        if !matches!(timeout(FAREWELL_DEADLINE, stopped).await, Ok(Ok(()))) {
            tracing::debug!("the database was not told that this collector stops");
        }
    }

    async fn beat(&mut self) -> Result<(), Error> {
        if self.replaced {
            return Ok(());
        }
        let pulse = self.pulse();
        let own = collector::beat(&self.database.store, &self.introduction, &pulse).await?;
        if !own {
            self.replaced = true;
            tracing::warn!(
                collector.name = self.introduction.name,
                "another collector uses the name in this one's certificate: its state is shown, this one's is not"
            );
            return Ok(());
        }
        for (handle, written) in &mut self.work {
            let last = handle.last();
            if let Some(turn) = last.as_ref().filter(|_| last != *written) {
                let activity = activity(&self.introduction.name, handle.name(), turn);
                collector::record(&self.database.store, &activity).await?;
                *written = last;
            }
        }
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "rates for people"
    )]
    fn pulse(&mut self) -> Pulse {
        let (rows, now) = (self.metrics.rows.get(), Instant::now());
        let (rows_before, then) = std::mem::replace(&mut self.before, (rows, now));
        let elapsed_s = (now - then).as_secs_f64().max(f64::EPSILON);
        let commits = self.metrics.commits_lately();
        let millis = |time: Duration| time.as_secs_f32() * 1000.0;
        Pulse {
            sessions: i32::try_from(self.metrics.agents()).unwrap_or(i32::MAX),
            rows_in_flight: self.metrics.rows_in_flight.get(),
            queue_frames: self.metrics.queue.get(),
            rows_total: i64::try_from(rows).unwrap_or(i64::MAX),
            rows_per_s: ((rows - rows_before) as f64 / elapsed_s) as f32,
            commit_mean_ms: (commits.count > 0).then(|| millis(commits.sum / commits.count)),
            commit_max_ms: (commits.count > 0).then(|| millis(commits.longest)),
        }
    }
}

fn activity(collector: &str, name: &str, turn: &Last) -> Activity {
    let (done, message) = match &turn.status {
        Status::Done(summary) => (true, summary),
        Status::Failed(error) => (false, error),
    };
    Activity {
        collector: collector.to_owned(),
        name: name.to_owned(),
        done,
        message: message.clone(),
        began_at: timestamp(turn.began_at),
        took_ms: i64::try_from(turn.took.as_millis()).unwrap_or(i64::MAX),
    }
}

/// Whole microseconds, as the database has them; a time that no calendar has is the beginning of ours.
fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}
