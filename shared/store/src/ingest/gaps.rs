//! Gaps of the ticks that were never taken. What was taken and lost is the [ledger's](super::ledger).

use crate::{Error, instant};
use std::collections::HashMap;
use tokio_postgres::Transaction;
use vmscope_model::{Tick, VmId};

/// Writes the gaps of `ticks`; `vm_ids` must hold every VM that they name.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    ticks: &[(i32, &Tick)],
    vm_ids: &HashMap<VmId, i32>,
) -> Result<(), Error> {
    const WRITE_GAPS: &str = "\
-- write_gaps
INSERT INTO gap (host_id, vm_id, metric_group, cause, from_at, to_at, ticks)
SELECT * FROM unnest($1::int4[], $2::int4[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::int8[])";
    let (mut hosts, mut vms, mut groups, mut causes) = (vec![], Vec::<Option<i32>>::new(), vec![], vec![]);
    let (mut from, mut to, mut missing) = (vec![], vec![], Vec::<i64>::new());
    for (host_id, tick) in ticks {
        for gap in tick.gaps.iter().filter(|gap| gap.lost.is_none()) {
            let vm_id = |vm| {
                vm_ids.get(&vm).copied().ok_or(Error::Missing {
                    operation: "write_gaps",
                })
            };
            hosts.push(*host_id);
            vms.push(gap.vm.map(vm_id).transpose()?);
            groups.push(gap.group.name());
            causes.push(gap.cause.name());
            from.push(instant::timestamp(gap.from_us)?);
            to.push(instant::timestamp(gap.to_us)?);
            missing.push(i64::try_from(gap.ticks).unwrap_or(i64::MAX));
        }
    }
    if hosts.is_empty() {
        return Ok(());
    }
    transaction
        .execute(
            WRITE_GAPS,
            &[&hosts, &vms, &groups, &causes, &from, &to, &missing],
        )
        .await
        .map_err(Error::statement("write_gaps"))?;
    Ok(())
}
