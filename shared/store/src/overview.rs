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
    /// All VMs by what they do: (libvirt code, how many); no code for those without a state in the last [`REPORTING_S`].
    pub vms_by_state: Vec<(Option<i16>, i64)>,
}

/// Counts hosts and VMs.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store) -> Result<Overview, Error> {
    const COUNTS: &str = "\
-- overview
SELECT now(), (SELECT count(*) FROM host), (
    SELECT count(DISTINCT host_id) FROM ingest_progress
    WHERE last_tick_at >= now() - make_interval(secs => $1::int8::float8)
)";
    const STATES: &str = "\
-- overview_states
SELECT CASE WHEN last_seen_at >= now() - make_interval(secs => $1::int8::float8) THEN state END AS reported, count(*)
FROM vm GROUP BY reported ORDER BY reported";
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
        hosts_reporting: counts.get(2),
        vms_by_state: states.iter().map(|row| (row.get(0), row.get(1))).collect(),
    })
}
