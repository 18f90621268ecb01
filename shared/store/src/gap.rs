//! Gaps: samples that should exist and do not.

use crate::entity::Reference;
use crate::{Error, Store};
use jiff::Timestamp;

/// A span of time for which samples are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// First missing moment.
    pub from: Timestamp,
    /// Last missing moment.
    pub to: Timestamp,
    /// Why: a name of `vmscope_model::Cause`.
    pub cause: String,
    /// Which part of sampling: a name of `vmscope_model::Group`.
    pub group: String,
    /// How many ticks; 0 when that can't be known.
    pub ticks: i64,
}

/// Most gaps that [`list`] returns.
pub const MAX_GAPS: i64 = 1000;

/// The gaps between `from` and `to` that concern a thing: those of its VM and those of its whole host, the newest
/// [`MAX_GAPS`], by time.
///
/// # Errors
/// The database's failures.
pub async fn list(
    store: &Store,
    entity: Reference,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Gap>, Error> {
    const LIST_GAPS: &str = "\
-- list_gaps
WITH subject AS (
    SELECT id AS host_id, NULL::int4 AS vm_id FROM host WHERE uuid = $1
    UNION ALL SELECT host_id, id FROM vm WHERE uuid = $2
    UNION ALL SELECT host_id, vm_id FROM device WHERE id = $3
)
SELECT from_at, to_at, cause, metric_group, ticks FROM (
    SELECT g.* FROM gap g JOIN subject s ON g.host_id = s.host_id AND (g.vm_id IS NULL OR g.vm_id = s.vm_id)
    WHERE g.to_at >= $4 AND g.from_at <= $5
    ORDER BY g.to_at DESC LIMIT $6
) AS newest ORDER BY from_at, to_at";
    let (mut host, mut vm, mut device) = (None, None, None);
    match entity {
        Reference::Host(id) => host = Some(id.0),
        Reference::Vm(id) => vm = Some(id.0),
        Reference::Device { id, .. } => device = Some(id),
    }
    let client = store.get().await?;
    let rows = client
        .query(LIST_GAPS, &[&host, &vm, &device, &from, &to, &MAX_GAPS])
        .await
        .map_err(Error::statement("list_gaps"))?;
    let gap = |row: &tokio_postgres::Row| Gap {
        from: row.get(0),
        to: row.get(1),
        cause: row.get(2),
        group: row.get(3),
        ticks: row.get(4),
    };
    Ok(rows.iter().map(gap).collect())
}
