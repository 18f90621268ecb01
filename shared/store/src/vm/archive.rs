//! Machines that have left the inventory of their host.

use crate::{Error, Store};
use std::time::Duration;

/// Archives the machines without which their hosts have reported for `after`; says how many. A host that is silent keeps its machines
/// in the lists: it says nothing of them. The next sample of a machine brings it back.
///
/// # Errors
/// The database's failures.
pub async fn archive(store: &Store, after: Duration) -> Result<u64, Error> {
    const ARCHIVE_VMS: &str = "\
-- archive_vms
UPDATE vm SET archived_at = now()
FROM (SELECT host_id, max(last_tick_at) AS last_tick_at FROM ingest_progress GROUP BY host_id) p
WHERE p.host_id = vm.host_id AND vm.archived_at IS NULL AND NOT vm.manual
    AND coalesce(vm.last_seen_at, vm.first_seen_at) < least(p.last_tick_at, now()) - make_interval(secs => $1)";
    let client = store.get().await?;
    client
        .execute(ARCHIVE_VMS, &[&after.as_secs_f64()])
        .await
        .map_err(Error::statement("archive_vms"))
}
