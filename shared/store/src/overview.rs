//! The fleet in a few numbers.

use crate::{Error, REPORTING_S, Store};
use jiff::Timestamp;

/// How many hosts and VMs there are and how they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The database's clock when it counted.
    pub as_of: Timestamp,
    /// Known hosts.
    pub hosts_total: i64,
    /// Hosts with a sample in the last [`REPORTING_S`].
    pub hosts_reporting: i64,
    /// Known VMs.
    pub vms_total: i64,
    /// VMs with a sample in the last [`REPORTING_S`], by state: (libvirt code, how many).
    pub vms_by_state: Vec<(i16, i64)>,
}

/// Counts hosts and VMs.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store) -> Result<Overview, Error> {
    const COUNTS: &str = "\
-- overview
SELECT now(), (SELECT count(*) FROM host), (SELECT count(*) FROM vm), (
    SELECT count(DISTINCT host_id) FROM ingest_progress
    WHERE last_tick_at >= now() - make_interval(secs => $1::int8::float8)
)";
    const STATES: &str = "\
-- overview_states
SELECT state, count(*) FROM vm
WHERE state IS NOT NULL AND last_seen_at >= now() - make_interval(secs => $1::int8::float8)
GROUP BY state ORDER BY state";
    let client = store.get().await?;
    let counts = client
        .query_one(COUNTS, &[&REPORTING_S])
        .await
        .map_err(Error::statement("overview"))?;
    let states = client
        .query(STATES, &[&REPORTING_S])
        .await
        .map_err(Error::statement("overview_states"))?;
    Ok(Overview {
        as_of: counts.get(0),
        hosts_total: counts.get(1),
        vms_total: counts.get(2),
        hosts_reporting: counts.get(3),
        vms_by_state: states.iter().map(|row| (row.get(0), row.get(1))).collect(),
    })
}
