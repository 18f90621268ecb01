//! The gaps that concern many things.

use super::among::Thing;
use super::held::first;
use crate::entity::Reference;
use crate::gap::{Gap, MAX_GAPS, gap};
use crate::{Error, Store};
use jiff::Timestamp;
use uuid::Uuid;
use vmscope_model::{HostId, VmId};

/// The gaps between `from` and `to` of the things' VMs and of their whole hosts, the newest [`MAX_GAPS`], by time, each with whom it
/// concerns: a VM, or a host and all that is on it. Says besides whether there are more.
///
/// # Errors
/// The database's failures.
pub async fn list(
    store: &Store,
    things: &[Thing],
    from: Timestamp,
    to: Timestamp,
) -> Result<(Vec<(Reference, Gap)>, bool), Error> {
    const HISTORY_GAPS: &str = "\
-- history_gaps
SELECT g.from_at, g.to_at, g.cause, g.metric_group, g.ticks, h.uuid AS host_uuid, v.uuid AS vm_uuid
FROM (
    SELECT g.* FROM gap g
    WHERE g.host_id = ANY (ARRAY(SELECT id FROM host WHERE uuid = ANY ($1)))
      AND (g.vm_id IS NULL OR g.vm_id = ANY (ARRAY(SELECT id FROM vm WHERE uuid = ANY ($2))))
      AND g.to_at >= $3 AND g.from_at <= $4
    ORDER BY g.to_at DESC LIMIT $5
) AS g JOIN host h ON h.id = g.host_id LEFT JOIN vm v ON v.id = g.vm_id
ORDER BY g.from_at, g.to_at";
    let mut hosts: Vec<Uuid> = things
        .iter()
        .filter_map(|thing| Some(thing.host.as_ref()?.0.0))
        .collect();
    let mut vms: Vec<Uuid> = things
        .iter()
        .filter_map(|thing| Some(thing.vm.as_ref()?.0.0))
        .collect();
    for uuids in [&mut hosts, &mut vms] {
        uuids.sort_unstable();
        uuids.dedup();
    }
    // The server's calendar ends sooner than ours.
    let (from, to) = (from.max(first()), to.max(first()));
    let client = store.get().await?;
    let rows = client
        .query(HISTORY_GAPS, &[&hosts, &vms, &from, &to, &(MAX_GAPS + 1)])
        .await
        .map_err(Error::statement("history_gaps"))?;
    let mut gaps: Vec<(Reference, Gap)> = rows
        .iter()
        .map(|row| {
            let host = Reference::Host(HostId(row.get("host_uuid")));
            let vm: Option<Uuid> = row.get("vm_uuid");
            (vm.map_or(host, |vm| Reference::Vm(VmId(vm))), gap(row))
        })
        .collect();
    let most = usize::try_from(MAX_GAPS).unwrap_or(usize::MAX);
    let more = gaps.len() > most;
    if more {
        // The oldest one, by its end, is one too many.
        let oldest = gaps.iter().zip(0_usize..).min_by_key(|((_, gap), _)| gap.to);
        if let Some((_, place)) = oldest {
            gaps.remove(place);
        }
    }
    Ok((gaps, more))
}
