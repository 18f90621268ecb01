//! Gaps: samples that should exist and do not.

use crate::access::{host_within, vm_within};
use crate::entity::Reference;
use crate::listing::Selection;
use crate::{Error, Page, Paging, Store};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vmscope_model::access::Reach;
use vmscope_model::{Cause, HostId, Position, VmId};

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
    Ok(rows.iter().map(gap).collect())
}

pub(crate) fn gap(row: &Row) -> Gap {
    Gap {
        from: row.get("from_at"),
        to: row.get("to_at"),
        cause: row.get("cause"),
        group: row.get("metric_group"),
        ticks: row.get("ticks"),
    }
}

/// An entry of the ledger, with the names of whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number: entries keep theirs, later ones have larger ones.
    pub id: i64,
    /// UUID of the host.
    pub host: HostId,
    /// Name of the host.
    pub host_name: String,
    /// UUID and name of the VM; `None` when the whole host is concerned.
    pub vm: Option<(VmId, String)>,
    /// What is missing.
    pub gap: Gap,
    /// The first and the last missing position; `None` for samples that were never taken.
    pub positions: Option<(Position, Position)>,
}

/// Which entries of the ledger, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Only those of this host and its VMs.
    pub host: Option<HostId>,
    /// Only those that concern this VM: its own and those of its whole host.
    pub vm: Option<VmId>,
    /// Only those with this cause, by name.
    pub cause: Option<String>,
    /// Only those of this part of sampling, by name.
    pub group: Option<String>,
    /// Only those that end at this moment or later.
    pub from: Option<Timestamp>,
    /// Only those that begin at this moment or earlier.
    pub to: Option<Timestamp>,
    /// Only those of virtual machines within this, and of whole hosts within it. Is not written down: whoever reads a filter
    /// again asks for the reach of that moment.
    #[serde(skip)]
    pub reach: Reach,
    /// Page; an export has all.
    #[serde(skip)]
    pub paging: Paging,
}

/// How much is missing for one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseTotal {
    /// Name of the cause.
    pub cause: String,
    /// Entries.
    pub entries: i64,
    /// Missing ticks, as far as they are known.
    pub ticks: i64,
    /// Entries whose ticks are not known; a step of the clock is none: no tick is missing.
    pub uncounted: i64,
}

/// The entries of a [`Filter`]. What is not asked for is folded away when the statement is planned.
const CHOSEN: &str = "
WHERE ($1::uuid IS NULL OR g.host_id = (SELECT id FROM host WHERE uuid = $1))
  AND ($2::uuid IS NULL OR g.host_id = (SELECT host_id FROM vm WHERE uuid = $2)
      AND (g.vm_id IS NULL OR g.vm_id = (SELECT id FROM vm WHERE uuid = $2)))
  AND ($3::text IS NULL OR g.cause = $3) AND ($4::text IS NULL OR g.metric_group = $4)
  AND ($5::timestamptz IS NULL OR g.to_at >= $5) AND ($6::timestamptz IS NULL OR g.from_at <= $6)";

/// Of the entries `$1` to `$6` choose, those within the reach `$7`, `$8`.
fn chosen() -> String {
    let (host, vm) = (host_within("g.host_id", 7, 8), vm_within("g.vm_id", 7, 8));
    format!("{CHOSEN}\n  AND CASE WHEN g.vm_id IS NULL THEN {host} ELSE {vm} END")
}

/// The newest first.
const ORDER: &str = "ORDER BY g.to_at DESC, g.id DESC";

/// The entries in their order; `page` cuts one out before names are looked up.
fn statement(page: &str) -> String {
    let chosen = chosen();
    format!(
        "\nSELECT g.*, h.uuid AS host_uuid, h.name AS host_name, v.uuid AS vm_uuid, v.name AS vm_name
FROM (SELECT g.* FROM gap g {chosen}{page}) g
JOIN host h ON h.id = g.host_id LEFT JOIN vm v ON v.id = g.vm_id\n{ORDER}"
    )
}

/// The entries of a filter, the newest first, on all pages.
pub(crate) fn selection(filter: &Filter) -> Selection {
    Selection {
        statement: statement(""),
        parameters: vec![
            Box::new(filter.host.map(|host| host.0)),
            Box::new(filter.vm.map(|vm| vm.0)),
            Box::new(filter.cause.clone()),
            Box::new(filter.group.clone()),
            Box::new(filter.from),
            Box::new(filter.to),
            Box::new(filter.reach.allowed().map(<[_]>::to_vec)),
            Box::new(filter.reach.denied().to_vec()),
        ],
    }
}

/// The ledger, a page at a time.
///
/// # Errors
/// The database's failures.
pub async fn page(store: &Store, filter: &Filter) -> Result<(Page<Entry>, Vec<CauseTotal>), Error> {
    let page = format!("\n{ORDER} LIMIT $9 OFFSET $10");
    let entries = format!("-- page_gaps{}", statement(&page));
    let totals = format!(
        "-- total_gaps
SELECT g.cause, count(*), coalesce(sum(g.ticks), 0)::int8, count(*) FILTER (WHERE g.ticks = 0 AND g.cause <> $9)
FROM gap g {}\nGROUP BY g.cause ORDER BY count(*) DESC, g.cause",
        chosen()
    );
    let (limit, offset) = (filter.paging.limit(), filter.paging.offset());
    let selection = selection(filter);
    let clock_step = Cause::ClockStep.name();
    let mut parameters = selection.parameters();
    parameters.push(&clock_step);
    let client = store.get().await?;
    let totals = client
        .query(&totals, &parameters)
        .await
        .map_err(Error::statement("total_gaps"))?;
    parameters.pop();
    parameters.extend::<[&(dyn ToSql + Sync); 2]>([&limit, &offset]);
    let rows = client
        .query(&entries, &parameters)
        .await
        .map_err(Error::statement("page_gaps"))?;
    let totals: Vec<CauseTotal> = totals.iter().map(total).collect();
    let page = Page {
        items: rows.iter().map(entry).collect(),
        total: totals.iter().map(|total| total.entries).sum(),
    };
    Ok((page, totals))
}

fn total(row: &Row) -> CauseTotal {
    CauseTotal {
        cause: row.get(0),
        entries: row.get(1),
        ticks: row.get(2),
        uncounted: row.get(3),
    }
}

pub(crate) fn entry(row: &Row) -> Entry {
    let position = |epoch: &str, sequence: &str| {
        let epoch: Option<i64> = row.get(epoch);
        let sequence: Option<i64> = row.get(sequence);
        epoch.zip(sequence).map(|(epoch, sequence)| Position {
            epoch: epoch.cast_unsigned(),
            sequence: sequence.cast_unsigned(),
        })
    };
    let vm: Option<uuid::Uuid> = row.get("vm_uuid");
    Entry {
        id: row.get("id"),
        host: HostId(row.get("host_uuid")),
        host_name: row.get("host_name"),
        vm: vm.map(VmId).zip(row.get("vm_name")),
        gap: gap(row),
        positions: position("first_epoch", "first_sequence").zip(position("last_epoch", "last_sequence")),
    }
}
