//! What the agent says about itself at `/metrics`.

use crate::buffer::{Recovery, Status};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use vmscope_model::Cause;

/// Counters and gauges; clones are the same ones.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub(crate) frames_sent: Counter,
    pub(crate) ticks_sent: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) ticks_acknowledged: Counter,
    pub(crate) sessions: Counter,
    pub(crate) failures: Counter,
    pub(crate) refusals: Counter,
    pub(crate) connected: Gauge,
    pub(crate) renewals: Counter,
    pub(crate) certificate_expiry: Gauge,
    ticks_taken: Counter,
    buffer_bytes: Gauge,
    buffer_disk_bytes: Gauge,
    buffer_records: Gauge,
    buffer_memory_records: Gauge,
    lag: Gauge,
    clock_offset: Gauge<f64, AtomicU64>,
    clock_offset_us: Arc<AtomicI64>,
    lost: Family<LossLabels, Gauge>,
    recovered: Gauge,
    stretch: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabels {
    cause: &'static str,
}

impl Metrics {
    /// Makes the metrics known to `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let agent = registry.sub_registry_with_prefix("vmscope_agent");
        metrics.register_uplink(agent.sub_registry_with_prefix("uplink"));
        metrics.register_buffer(agent.sub_registry_with_prefix("buffer"));
        agent.sub_registry_with_prefix("sampler").register(
            "stretch",
            "How many times the configured interval samples of VM memory, disks and processors are apart",
            metrics.stretch.clone(),
        );
        metrics
    }

    fn register_uplink(&self, uplink: &mut Registry) {
        let counters = [
            (
                "frames_sent",
                "Frames sent, repetitions included",
                &self.frames_sent,
            ),
            ("ticks_sent", "Ticks sent, repetitions included", &self.ticks_sent),
            (
                "bytes_sent",
                "Bytes of frames sent, repetitions included",
                &self.bytes_sent,
            ),
            (
                "ticks_acknowledged",
                "Ticks committed by a collector",
                &self.ticks_acknowledged,
            ),
            (
                "sessions",
                "Sessions that a collector has welcomed",
                &self.sessions,
            ),
            ("failures", "Sessions and attempts that failed", &self.failures),
            (
                "refusals",
                "Sessions that a collector has refused",
                &self.refusals,
            ),
        ];
        for (name, help, counter) in counters {
            uplink.register(name, help, counter.clone());
        }
        uplink.register("renewals", "Certificates renewed", self.renewals.clone());
        uplink.register(
            "certificate_expiry_timestamp_seconds",
            "When this agent's certificate expires, in seconds since the Unix epoch",
            self.certificate_expiry.clone(),
        );
        uplink.register(
            "connected",
            "1 while a collector takes samples",
            self.connected.clone(),
        );
        uplink.register(
            "lag_seconds",
            "Age of the oldest undelivered tick",
            self.lag.clone(),
        );
        uplink.register(
            "clock_offset_seconds",
            "How far this host's clock was ahead of the collector's when the session began",
            self.clock_offset.clone(),
        );
    }

    fn register_buffer(&self, buffer: &mut Registry) {
        buffer.register(
            "ticks_taken",
            "Ticks handed to the buffer",
            self.ticks_taken.clone(),
        );
        let gauges = [
            (
                "live_bytes",
                "Bytes of undelivered ticks on disk",
                &self.buffer_bytes,
            ),
            (
                "disk_bytes",
                "Bytes of the store's files",
                &self.buffer_disk_bytes,
            ),
            ("records", "Undelivered ticks", &self.buffer_records),
            (
                "memory_records",
                "Undelivered ticks in memory only",
                &self.buffer_memory_records,
            ),
            ("recovered_records", "Ticks found at the start", &self.recovered),
        ];
        for (name, help, gauge) in gauges {
            buffer.register(name, help, gauge.clone());
        }
        buffer.register(
            "lost_records",
            "Ticks lost in this run, by cause",
            self.lost.clone(),
        );
    }

    /// Notes how far the clock is ahead of the collector's; gives what was noted before.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit")]
    pub(crate) fn set_clock_offset_us(&self, offset_us: i64) -> i64 {
        self.clock_offset.set(offset_us as f64 / 1e6);
        self.clock_offset_us.swap(offset_us, Ordering::Relaxed)
    }

    pub(crate) fn recovered(&self, recovery: &Recovery) {
        self.recovered.set(number(recovery.records));
    }

    /// A tick was taken, at `now_us`, while the dear groups' interval was stretched so many times.
    pub(crate) fn taken(&self, status: &Status, stretch: u32, now_us: i64) {
        self.stretch.set(stretch.into());
        self.ticks_taken.inc();
        self.buffer_bytes.set(number(status.bytes));
        self.buffer_disk_bytes.set(number(status.disk_bytes));
        self.buffer_records.set(number(status.records));
        self.buffer_memory_records.set(number(status.in_memory));
        self.lag.set(
            status
                .oldest_us
                .map_or(0, |oldest_us| now_us.saturating_sub(oldest_us).max(0) / 1_000_000),
        );
        let lost = [
            (Cause::EvictedBySize, status.lost.evicted_by_size),
            (Cause::EvictedByAge, status.lost.evicted_by_age),
            (Cause::Corruption, status.lost.corruption),
            (Cause::BufferFull, status.lost.buffer_full),
        ];
        for (cause, records) in lost {
            self.lost
                .get_or_create(&LossLabels { cause: cause.name() })
                .set(number(records));
        }
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
