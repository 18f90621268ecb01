//! How fast hosts may send and sessions may begin.
//!
//! A session pays for a frame before it reads the next one: over the limit it reads later, QUIC's flow control fills, and
//! the agent keeps its samples. Nothing is lost or refused. While it waits it holds nothing. Live frames go before
//! backlog at the limit that all hosts share.
//!
//! A session beyond the limit of beginnings is refused with a code, and its agent comes again later.

use super::queue::Lane;
use super::session::Refusal;
use crate::config::Limits;
use crate::metrics::Metrics;
use governor::clock::{Clock, DefaultClock};
use governor::state::{InMemoryState, NotKeyed, keyed::HashMapStateStore};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use vmscope_model::HostId;

/// How long backlog steps aside for live frames that wait.
const ASIDE: Duration = Duration::from_millis(20);

/// Hosts whose sessions are long past are forgotten every so many beginnings.
const SWEEP_EVERY: u64 = 4096;

/// A limit on something that can be counted.
#[derive(Debug)]
struct Limit {
    limiter: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    burst: NonZeroU32,
    /// Live payers that wait.
    live: AtomicUsize,
}

/// Counts a live payer while it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Limit {
    fn new(per_s: NonZeroU32) -> Self {
        Self {
            limiter: RateLimiter::direct(Quota::per_second(per_s)),
            burst: per_s,
            live: AtomicUsize::new(0),
        }
    }

    /// Waits until `count` more fit under the limit; says whether it had to wait.
    async fn pay(&self, lane: Lane, count: usize) -> bool {
        let _waiting = (lane == Lane::Live).then(|| {
            self.live.fetch_add(1, Ordering::AcqRel);
            Waiting(&self.live)
        });
        let mut waited = false;
        let mut rest = count;
        while let Some(part) = NonZeroU32::new(u32::try_from(rest).unwrap_or(u32::MAX)) {
            let part = part.min(self.burst);
            if let Some(pause) = self.pause(lane, part) {
                waited = true;
                tokio::time::sleep(pause).await;
            } else {
                rest -= part.get() as usize;
            }
        }
        waited
    }

    /// Pays, or says how long to wait before trying again.
    fn pause(&self, lane: Lane, part: NonZeroU32) -> Option<Duration> {
        if lane == Lane::Backlog && self.live.load(Ordering::Acquire) > 0 {
            return Some(ASIDE);
        }
        match self.limiter.check_n(part) {
            // A part is never more than the burst, so the other error does not occur.
            Ok(Ok(())) | Err(_) => None,
            Ok(Err(early)) => Some(early.wait_time_from(self.limiter.clock().now())),
        }
    }
}

/// What one session may send.
#[derive(Debug)]
pub(super) struct HostPace {
    frames: Limit,
    rows: Limit,
}

/// The limits of all sessions together, and of how often they begin.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Limits,
    frames: Limit,
    rows: Limit,
    sessions: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    of_host: RateLimiter<HostId, HashMapStateStore<HostId>, DefaultClock>,
    begun: AtomicU64,
    metrics: Metrics,
}

impl Pace {
    pub(super) fn new(limits: Limits, metrics: Metrics) -> Self {
        Self {
            frames: Limit::new(limits.frames_per_s),
            rows: Limit::new(limits.rows_per_s),
            sessions: RateLimiter::direct(Quota::per_second(limits.sessions_per_s)),
            of_host: RateLimiter::hashmap(Quota::per_minute(limits.host_sessions_per_min)),
            begun: AtomicU64::new(0),
            limits,
            metrics,
        }
    }

    /// Refuses a session that begins too soon, of `host` if it is an agent's. Who has no right to a session of the host
    /// must not get here: it would use up what the host may.
    pub(super) fn begin(&self, host: Option<HostId>) -> Result<(), Refusal> {
        if self.begun.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.of_host.retain_recent();
        }
        // One host that comes too often does not use up what the others may.
        let may =
            host.is_none_or(|host| self.of_host.check_key(&host).is_ok()) && self.sessions.check().is_ok();
        if may {
            Ok(())
        } else {
            Err(Refusal::TooManySessions)
        }
    }

    /// The limits of one host's session, at their beginning.
    pub(super) fn host(&self) -> HostPace {
        HostPace {
            frames: Limit::new(self.limits.host_frames_per_s),
            rows: Limit::new(self.limits.host_rows_per_s),
        }
    }

    /// Waits until a frame with `rows` rows is paid for.
    pub(super) async fn pay(&self, host: &HostPace, lane: Lane, rows: usize) {
        let mut waited = host.frames.pay(lane, 1).await;
        waited |= host.rows.pay(lane, rows).await;
        waited |= self.frames.pay(lane, 1).await;
        waited |= self.rows.pay(lane, rows).await;
        if waited {
            self.metrics.paced.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use prometheus_client::registry::Registry;
    use uuid::Uuid;

    const fn number(value: u32) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(value - 1)
    }

    fn pace(limits: Limits) -> Pace {
        Pace::new(limits, Metrics::new(&mut Registry::default()))
    }

    #[test]
    fn a_host_beyond_its_limit_waits_and_the_others_do_not() {
        let pace = pace(Limits {
            host_rows_per_s: number(100),
            ..Limits::default()
        });
        let (greedy, modest) = (pace.host(), pace.host());
        assert!(pace.pay(&greedy, Lane::Live, 100).now_or_never().is_some());
        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let _entered = waiting.enter();
        assert!(pace.pay(&greedy, Lane::Live, 50).now_or_never().is_none());
        assert!(pace.pay(&modest, Lane::Live, 50).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_frame_beyond_the_whole_burst_is_paid_in_parts() {
        let pace = pace(Limits {
            host_rows_per_s: number(10_000),
            ..Limits::default()
        });
        pace.pay(&pace.host(), Lane::Live, 10_500).await;
        assert_eq!(pace.metrics.paced.get(), 1);
    }

    #[tokio::test]
    async fn backlog_steps_aside_while_live_frames_wait() {
        let limit = Limit::new(number(1_000));
        assert!(!limit.pay(Lane::Live, 1_000).await);
        let mut live = std::pin::pin!(limit.pay(Lane::Live, 1_000));
        assert!(live.as_mut().now_or_never().is_none());
        assert_eq!(limit.pause(Lane::Backlog, NonZeroU32::MIN), Some(ASIDE));
        assert!(live.await);
        assert_eq!(limit.live.load(Ordering::Acquire), 0);
    }

    #[test]
    fn sessions_beyond_the_limit_do_not_begin() {
        let pace = pace(Limits {
            host_sessions_per_min: number(2),
            sessions_per_s: number(3),
            ..Limits::default()
        });
        let host = |number| Some(HostId(Uuid::from_u128(number)));
        let may = |host| pace.begin(host).is_ok();
        assert!(may(host(1)) && may(host(1)));
        assert!(!may(host(1)));
        assert!(may(None));
        assert!(!may(host(2)), "all sessions together have a limit too");
    }
}
