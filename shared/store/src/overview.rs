//! The fleet in a few numbers.

use crate::access::{host_within, vm_within};
use crate::{Error, REPORTING_S, Store};
use jiff::Timestamp;
use vmscope_model::access::Reach;

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

/// Counts the hosts within one reach and the VMs within another.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, hosts: &Reach, vms: &Reach) -> Result<Overview, Error> {
    let counted = format!(
        "-- overview
SELECT now(), (SELECT count(*) FROM host WHERE {}), (
    SELECT count(DISTINCT host_id) FROM ingest_progress p
    WHERE last_tick_at >= now() - make_interval(secs => $1::int8::float8) AND {}
)",
        host_within("host.id", 2, 3),
        host_within("p.host_id", 2, 3)
    );
    let by_state = format!(
        "-- overview_states
SELECT CASE WHEN last_seen_at >= now() - make_interval(secs => $1::int8::float8) THEN state END AS reported, count(*)
FROM vm WHERE archived_at IS NULL AND {} GROUP BY reported ORDER BY reported",
        vm_within("vm.id", 2, 3)
    );
    let client = store.get().await?;
    let counts = client
        .query_one(&counted, &[&REPORTING_S, &hosts.allowed(), &hosts.denied()])
        .await
        .map_err(Error::statement("overview"))?;
    let states = client
        .query(&by_state, &[&REPORTING_S, &vms.allowed(), &vms.denied()])
        .await
        .map_err(Error::statement("overview_states"))?;
    Ok(Overview {
        as_of: counts.get(0),
        hosts_total: counts.get(1),
        hosts_reporting: counts.get(2),
        vms_by_state: states.iter().map(|row| (row.get(0), row.get(1))).collect(),
    })
}
