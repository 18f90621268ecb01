//! How far the clocks of hosts are from this collector's.
//!
//! Measured at the beginning of each session: the agent's hello says its clock, half a round trip later it is here. A
//! packet that had to be sent again makes the host look late by that time, so the limit is seconds, not milliseconds.
//! The offset is stored, shown and warned of; it never touches a sample.

use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vmscope_model::HostId;

/// This collector's clock, in microseconds since the Unix epoch.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    micros(since)
}

/// How far a clock is ahead of this one that showed `said_us` half a `round_trip` before `heard_us`.
pub(super) fn offset_us(said_us: i64, round_trip: Duration, heard_us: i64) -> i64 {
    let offset_us = said_us
        .saturating_add(micros(round_trip / 2))
        .saturating_sub(heard_us);
    // Whatever a peer claims, the distance to either side must be a number.
    offset_us.max(-i64::MAX)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Which hosts' clocks are off.
#[derive(Debug)]
pub(super) struct Clocks {
    limit: Duration,
    off: Mutex<HashSet<HostId>>,
    gauge: Gauge,
}

impl Clocks {
    /// `gauge` shows how many are off by more than `limit`.
    pub(super) fn new(limit: Duration, gauge: Gauge) -> Self {
        Self {
            limit,
            off: Mutex::default(),
            gauge,
        }
    }

    /// Notes a measurement; logs when the host's clock goes off or comes back.
    pub(super) fn note(&self, host: HostId, offset_us: i64) {
        let off = Duration::from_micros(offset_us.unsigned_abs()) > self.limit;
        let mut hosts = self.off.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = if off {
            hosts.insert(host)
        } else {
            hosts.remove(&host)
        };
        self.gauge.set(i64::try_from(hosts.len()).unwrap_or(i64::MAX));
        drop(hosts);
        match (changed, off) {
            (false, _) => {}
            (true, true) => tracing::warn!(
                host.id = %host,
                clock.offset_ms = offset_us / 1000,
                "a host's clock differs from the collector's: its samples stand at its own time; is time synchronised on both?"
            ),
            (true, false) => {
                tracing::info!(host.id = %host, clock.offset_ms = offset_us / 1000, "a host's clock agrees again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn half_a_round_trip_is_no_offset() {
        let trip = Duration::from_millis(300);
        assert_eq!(offset_us(1_000_000, trip, 1_150_000), 0);
        assert_eq!(offset_us(7_000_000, trip, 1_150_000), 6_000_000);
        assert_eq!(offset_us(0, trip, 1_150_000), -1_000_000);
        assert_eq!(offset_us(i64::MIN, trip, 1_150_000), -i64::MAX);
        assert_eq!(offset_us(i64::MAX, trip, 1), i64::MAX - 1);
    }

    #[test]
    fn counts_the_clocks_beyond_the_limit() {
        let gauge = Gauge::default();
        let clocks = Clocks::new(Duration::from_secs(5), gauge.clone());
        let (one, two) = (HostId(Uuid::from_u128(1)), HostId(Uuid::from_u128(2)));
        clocks.note(one, 5_000_000);
        assert_eq!(gauge.get(), 0);
        clocks.note(one, -5_000_001);
        clocks.note(two, i64::MAX);
        clocks.note(two, i64::MAX);
        assert_eq!(gauge.get(), 2);
        clocks.note(one, 3);
        assert_eq!(gauge.get(), 1);
    }
}
