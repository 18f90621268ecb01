//! What it costs to know who asks and whether he may.

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;

/// From 4 us, which is a signature that was verified, to 1 s, which is a database that is in trouble.
const BUCKETS: (f64, f64, u16) = (4e-6, 4.0, 10);

/// Times of all checks, each from the request to the decision.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Histogram);

impl Meter {
    /// Nothing is measured yet.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let (first, factor, count) = BUCKETS;
        let meter = Self(Histogram::new(exponential_buckets(first, factor, count)));
        registry.register(
            "vmscope_web_authorisation_seconds",
            "Time from a request to the decision whether it is allowed",
            meter.0.clone(),
        );
        meter
    }

    pub(super) fn observe(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }
}
