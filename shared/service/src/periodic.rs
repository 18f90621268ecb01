//! Work that is done again and again: no input, idempotent, and its last status can be read.
//!
//! The first activation comes at once, the next ones an interval later each, give or take [`JITTER`], so that daemons
//! started together don't work together. A failing activation is logged and tried again at the next turn. An activation
//! that runs when the daemon stops is finished, within the drain deadline.

use crate::Lifecycle;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// The part of the interval by which the pauses differ, to either side.
pub const JITTER: f64 = 0.1;

/// A piece of periodic work.
pub trait Activity: Send + Sync + 'static {
    /// Name in the log and on the health page (`retention`).
    fn name(&self) -> &'static str;

    /// Does what there is to do now. Running it twice does no harm.
    fn activate(&self) -> impl Future<Output = Status> + Send;
}

/// What one activation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Done; says what (`2 partitions dropped`).
    Done(String),
    /// Not done; says why, and it is tried again at the next turn.
    Failed(String),
}

/// The most recent activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// What it came to.
    pub status: Status,
    /// When it began.
    pub began_at: SystemTime,
    /// How long it took.
    pub took: Duration,
}

/// Reads the status of a periodic activity.
#[derive(Debug, Clone)]
pub struct Handle {
    name: &'static str,
    last: watch::Receiver<Option<Last>>,
}

impl Handle {
    /// Name of the activity.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The most recent activation; `None` before the first one has ended.
    pub fn last(&self) -> Option<Last> {
        self.last.borrow().clone()
    }

    /// Waits for the end of an activation that this handle has not seen yet; `None` when there will be no more.
    pub async fn next(&mut self) -> Option<Last> {
        self.last.changed().await.ok()?;
        self.last.borrow_and_update().clone()
    }
}

/// Activates `activity` now and then every `interval`, until the lifecycle stops.
pub fn spawn<A: Activity>(lifecycle: &Lifecycle, activity: A, interval: Duration) -> Handle {
    let (sender, last) = watch::channel(None);
    let name = activity.name();
    let stopping = lifecycle.stopping();
    lifecycle.spawn(name, async move {
        while !stopping.is_cancelled() {
            sender.send_replace(Some(activate(&activity).await));
            let pause = interval.mul_f64(rand::random_range(1.0 - JITTER..=1.0 + JITTER));
            // The answer is read off the token at the loop's head.
            let _ = tokio::time::timeout(pause, stopping.cancelled()).await;
        }
    });
    Handle { name, last }
}

async fn activate<A: Activity>(activity: &A) -> Last {
    let (began_at, began) = (SystemTime::now(), Instant::now());
    let status = activity.activate().await;
    match &status {
        Status::Done(summary) => tracing::debug!(activity = activity.name(), summary, "activity done"),
        Status::Failed(error) => tracing::warn!(
            activity = activity.name(),
            error,
            "activity failed, tried again later"
        ),
    }
    Last {
        status,
        began_at,
        took: began.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, Lifecycle, Status, spawn};
    use crate::Ending;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[derive(Default)]
    struct FailsFirst(AtomicUsize);

    impl Activity for FailsFirst {
        fn name(&self) -> &'static str {
            "fails_first"
        }

        async fn activate(&self) -> Status {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Status::Failed("not yet".to_owned()),
                turn => Status::Done(format!("turn {turn}")),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tries_again_after_a_failure_and_shows_the_last_status() {
        let lifecycle = Lifecycle::new();
        let mut handle = spawn(&lifecycle, FailsFirst::default(), Duration::from_mins(1));
        assert_eq!(handle.last(), None);
        let first = handle.next().await.expect("an activation");
        assert_eq!(first.status, Status::Failed("not yet".to_owned()));
        let second = handle.next().await.expect("another one");
        assert_eq!(second.status, Status::Done("turn 1".to_owned()));
        assert_eq!(handle.last(), Some(second));
        assert_eq!(lifecycle.shutdown().await, Ending::Clean);
        assert_eq!(handle.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_differ_by_no_more_than_the_jitter() {
        let lifecycle = Lifecycle::new();
        let mut handle = spawn(&lifecycle, FailsFirst::default(), Duration::from_secs(100));
        handle.next().await.expect("the first");
        for _ in 0..20 {
            let before = tokio::time::Instant::now();
            handle.next().await.expect("another one");
            let pause = before.elapsed().as_secs_f64();
            assert!((90.0..=110.1).contains(&pause), "{pause}");
        }
    }
}
