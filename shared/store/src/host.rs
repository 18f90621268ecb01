//! Hosts, as lists and pages show them.

use crate::access::{host_within, vm_within};
use crate::export::Selection;
use crate::{Error, Order, Page, Paging, REPORTING_S, Store, page};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vmscope_model::HostId;
use vmscope_model::access::Reach;

/// A host. Facts that its agent could not read are empty or 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its UUID.
    pub id: HostId,
    /// Its database id.
    pub host_id: i32,
    /// Host name; the UUID until the agent has told it.
    pub name: String,
    /// Operating system with version.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor model.
    pub cpu_model: String,
    /// Logical processors.
    pub cpu_count: i32,
    /// Memory, in bytes.
    pub memory_bytes: i64,
    /// Hypervisor with version; empty when the agent reports the host alone.
    pub hypervisor: String,
    /// Version of the agent.
    pub agent_version: String,
    /// When the host started.
    pub boot_at: Option<Timestamp>,
    /// When its agent first spoke to a collector.
    pub first_seen_at: Timestamp,
    /// When its newest stored sample was taken.
    pub last_sample_at: Option<Timestamp>,
    /// That was in the last [`REPORTING_S`].
    pub reporting: bool,
    /// Its VMs by what they do: (libvirt code, how many); no code for those without a state in the last [`REPORTING_S`].
    pub vms_by_state: Vec<(Option<i16>, i64)>,
}

/// By what hosts are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Sort {
    /// Name.
    #[default]
    Name,
    /// Time of the last sample.
    LastSampleAt,
}

/// Which hosts, in which order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Part of the name in any case, or the beginning of the UUID; empty for all.
    pub search: String,
    /// Only hosts within this. Neither reach is written down: whoever reads a filter again asks for those of that moment.
    #[serde(skip)]
    pub reach: Reach,
    /// Of their virtual machines, only those within this are counted.
    #[serde(skip)]
    pub vm_reach: Reach,
    /// Order.
    pub order: Order<Sort>,
    /// Page; an export has all.
    #[serde(skip)]
    pub paging: Paging,
}

/// A host with its newest sample's time.
const HOST: &str = "
SELECT h.id, h.uuid, h.name, h.os, h.kernel, h.cpu_model, h.cpu_count, h.memory_bytes, h.hypervisor, h.agent_version,
    h.boot_at, h.first_seen_at, p.last_sample_at,
    coalesce(p.last_sample_at >= now() - make_interval(secs => $1::int8::float8), false) AS reporting
FROM host h
LEFT JOIN LATERAL (
    SELECT max(last_tick_at) AS last_sample_at FROM ingest_progress WHERE host_id = h.id
) p ON true";

/// The hosts of a filter.
fn chosen() -> String {
    let within = host_within("h.id", 4, 5);
    format!("\nWHERE (h.name ILIKE $2 OR h.uuid::text LIKE $3)\n  AND {within}")
}

/// The hosts of a filter in its order, on all pages.
pub(crate) fn selection(filter: &Filter) -> Selection {
    let column = match filter.order.by {
        Sort::Name => "h.name",
        Sort::LastSampleAt => "p.last_sample_at",
    };
    let order = filter.order.clause(column, "h.id");
    let (name, uuid) = page::patterns(&filter.search);
    Selection {
        statement: format!("{HOST}{}\n{order}", chosen()),
        parameters: vec![
            Box::new(REPORTING_S),
            Box::new(name),
            Box::new(uuid),
            Box::new(filter.reach.allowed().map(<[_]>::to_vec)),
            Box::new(filter.reach.denied().to_vec()),
        ],
    }
}

/// Hosts, a page at a time.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, filter: &Filter) -> Result<Page<Host>, Error> {
    // The first parameter is the list's alone, but its type has to be known.
    let count = format!(
        "-- count_hosts\nSELECT count(*) FROM host h{}\n  AND $1::int8 IS NOT NULL",
        chosen()
    );
    let selection = selection(filter);
    let statement = format!("-- list_hosts{} LIMIT $6 OFFSET $7", selection.statement);
    let (limit, offset) = (filter.paging.limit(), filter.paging.offset());
    let mut parameters = selection.parameters();
    let client = store.get().await?;
    let total = client
        .query_one(&count, &parameters)
        .await
        .map_err(Error::statement("count_hosts"))?;
    parameters.extend::<[&(dyn ToSql + Sync); 2]>([&limit, &offset]);
    let rows = client
        .query(&statement, &parameters)
        .await
        .map_err(Error::statement("list_hosts"))?;
    drop(client);
    let mut items: Vec<Host> = rows.iter().map(host).collect();
    count_states(store, &mut items, &filter.vm_reach).await?;
    Ok(Page {
        items,
        total: total.get(0),
    })
}

/// One host, if it is within `reach`; of its virtual machines those within `vm_reach` are counted.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, id: HostId, reach: &Reach, vm_reach: &Reach) -> Result<Option<Host>, Error> {
    let within = host_within("h.id", 3, 4);
    let statement = format!("-- get_host{HOST}\nWHERE h.uuid = $2 AND {within}");
    let client = store.get().await?;
    let rows = client
        .query(
            &statement,
            &[&REPORTING_S, &id.0, &reach.allowed(), &reach.denied()],
        )
        .await
        .map_err(Error::statement("get_host"))?;
    drop(client);
    let mut hosts: Vec<Host> = rows.iter().map(host).collect();
    count_states(store, &mut hosts, vm_reach).await?;
    Ok(hosts.pop())
}

/// Counts the virtual machines of hosts, as far as they are within `reach`.
///
/// # Errors
/// The database's failures.
pub(crate) async fn count_states(store: &Store, hosts: &mut [Host], reach: &Reach) -> Result<(), Error> {
    let statement = format!(
        "-- host_states
SELECT host_id,
    CASE WHEN last_seen_at >= now() - make_interval(secs => $2::int8::float8) THEN state END AS reported, count(*)
FROM vm WHERE host_id = ANY ($1) AND {}
GROUP BY host_id, reported ORDER BY reported",
        vm_within("vm.id", 3, 4)
    );
    let ids: Vec<i32> = hosts.iter().map(|host| host.host_id).collect();
    let client = store.get().await?;
    let states = client
        .query(
            &statement,
            &[&ids, &REPORTING_S, &reach.allowed(), &reach.denied()],
        )
        .await
        .map_err(Error::statement("host_states"))?;
    for row in &states {
        let host_id: i32 = row.get(0);
        if let Some(host) = hosts.iter_mut().find(|host| host.host_id == host_id) {
            host.vms_by_state.push((row.get(1), row.get(2)));
        }
    }
    Ok(())
}

pub(crate) fn host(row: &Row) -> Host {
    Host {
        host_id: row.get("id"),
        id: HostId(row.get("uuid")),
        name: row.get("name"),
        os: row.get("os"),
        kernel: row.get("kernel"),
        cpu_model: row.get("cpu_model"),
        cpu_count: row.get("cpu_count"),
        memory_bytes: row.get("memory_bytes"),
        hypervisor: row.get("hypervisor"),
        agent_version: row.get("agent_version"),
        boot_at: row.get("boot_at"),
        first_seen_at: row.get("first_seen_at"),
        last_sample_at: row.get("last_sample_at"),
        reporting: row.get("reporting"),
        vms_by_state: Vec::new(),
    }
}
