//! This server's own certificate: nobody renews it, so its end is announced in the log and in the metrics.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::time::{Duration, SystemTime};
use vmscope_link::Identity;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Status};

/// How often the log speaks of it.
const EVERY: Duration = Duration::from_hours(24);

/// Registers when `identity` expires, and warns in the month before.
pub(crate) fn watch(lifecycle: &Lifecycle, identity: &Identity, registry: &mut Registry) {
    let end = identity.validity().not_after;
    let since_epoch = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let expiry: Gauge = Gauge::default();
    expiry.set(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX));
    registry.register(
        "vmscope_web_certificate_expiry_timestamp_seconds",
        "When this server's own certificate expires, in seconds since the Unix epoch",
        expiry,
    );
    periodic::spawn(lifecycle, Expiry(identity.clone()), EVERY);
}

struct Expiry(Identity);

impl Activity for Expiry {
    fn name(&self) -> &'static str {
        "certificate_expiry"
    }

    async fn activate(&self) -> Status {
        match self.0.days_left_if_few() {
            None => Status::Done("far away".to_owned()),
            Some(days) => {
                tracing::warn!(
                    certificate.days_left = days,
                    "this server's own certificate expires soon: issue it again (vmscope-collector ca issue --role web) and restart"
                );
                Status::Done(format!("{days} days left"))
            }
        }
    }
}
