//! Hosts, as lists and pages show them.

use crate::access::{host_within, vm_within};
use crate::listing::{self, Column, Conditions, Cursor, Listed, Part, Selection, Sorted};
use crate::{Error, Order, Paging, REPORTING_S, Store, page};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use tokio_postgres::Row;
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

/// By what hosts are sorted. What is not known comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Sort {
    /// Name, in any case.
    #[default]
    Name,
    /// Time of the last sample.
    LastSampleAt,
    /// Logical processors.
    CpuCount,
    /// Memory.
    Memory,
    /// When its agent first spoke.
    FirstSeenAt,
}

impl Sorted for Sort {
    fn column(self) -> Column {
        match self {
            Self::Name => Column::text("lower(h.name)"),
            Self::LastSampleAt => {
                Column::number("coalesce((extract(epoch FROM p.last_sample_at) * 1000000)::bigint, 0)")
            }
            Self::CpuCount => Column::number("h.cpu_count::bigint"),
            Self::Memory => Column::number("h.memory_bytes"),
            Self::FirstSeenAt => Column::number("(extract(epoch FROM h.first_seen_at) * 1000000)::bigint"),
        }
    }
}

/// Which hosts, in which order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Part of the name, a label, the system, the processor or the hypervisor, in any case, or the beginning of the UUID; empty for all.
    pub search: String,
    /// Only hosts with each of these labels: key, and the value unless any will do.
    pub labels: Vec<(String, Option<String>)>,
    /// Only hosts that report, or only others.
    pub reporting: Option<bool>,
    /// Only hosts within this.
    #[serde(skip)]
    pub reach: Reach,
    /// Of their virtual machines, only those within this are counted.
    #[serde(skip)]
    pub vm_reach: Reach,
    /// Order; by name without.
    pub order: Vec<Order<Sort>>,
    /// Page; with a cursor, how many alone.
    #[serde(skip)]
    pub paging: Paging,
    /// Only hosts behind this place.
    #[serde(skip)]
    pub cursor: Option<Cursor>,
}

/// The columns of a host with its newest sample's time, [`COLUMNS`] of them.
static HOST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
SELECT h.id, h.uuid, h.name, h.os, h.kernel, h.cpu_model, h.cpu_count, h.memory_bytes, h.hypervisor, h.agent_version,
    h.boot_at, h.first_seen_at, p.last_sample_at, coalesce({REPORTS}, false) AS reporting"
    )
});

/// How many columns a host has.
const COLUMNS: usize = 14;

const FROM: &str = "
FROM host h
LEFT JOIN LATERAL (
    SELECT max(last_tick_at) AS last_sample_at FROM ingest_progress WHERE host_id = h.id
) p ON true";

/// Its last sample was taken in the last [`REPORTING_S`].
const REPORTS: &str = "p.last_sample_at >= now() - interval '15 s'";
const _: () = assert!(REPORTING_S == 15, "REPORTS says so, too");

impl Filter {
    /// The keys of the order.
    pub fn keys(&self) -> Vec<Order<Sort>> {
        if self.order.is_empty() {
            vec![Order::default()]
        } else {
            self.order.clone()
        }
    }

    /// Whether the cursor can come from a list in this order.
    pub fn takes(&self, cursor: &Cursor) -> bool {
        cursor.fits(&self.keys())
    }

    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        if !self.search.is_empty() {
            let (anywhere, beginning) = page::patterns(&self.search);
            let (anywhere, beginning) = (conditions.bind(anywhere), conditions.bind(beginning));
            conditions.require(format!(
                "(concat_ws(E'\\n', h.name, h.os, h.cpu_model, h.hypervisor,
        (SELECT string_agg(l.key || '=' || l.value, E'\\n') FROM host_label l WHERE l.host_id = h.id)) ILIKE ${anywhere}
      OR h.uuid::text LIKE ${beginning})"
            ));
        }
        for (key, value) in &self.labels {
            let key = conditions.bind(key.clone());
            let value = value.clone().map(|value| conditions.bind(value));
            let value = value.map_or_else(String::new, |n| format!(" AND l.value = ${n}"));
            conditions.require(format!(
                "h.id IN (SELECT l.host_id FROM host_label l WHERE l.key = ${key}{value})"
            ));
        }
        match self.reporting {
            None => {}
            Some(true) => conditions.require(REPORTS),
            Some(false) => conditions.require(format!("({REPORTS}) IS NOT TRUE")),
        }
        conditions.within(&self.reach, |allowed, denied| {
            host_within("h.id", allowed, denied)
        });
        conditions
    }
}

/// The statement of a filter, in its order, without a limit.
pub(crate) fn selection(filter: &Filter) -> Selection {
    let order = filter.keys();
    let mut conditions = filter.conditions();
    if let Some(cursor) = &filter.cursor {
        conditions.behind(cursor, &order, "h.id");
    }
    let statement = format!(
        "{}{}{FROM}{}{}",
        *HOST,
        listing::key_columns(&order),
        conditions.clause(),
        listing::order_by(&order, "h.id")
    );
    conditions.select(statement)
}

/// Hosts, a part at a time.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, filter: &Filter) -> Result<Part<Host>, Error> {
    const HOSTS: Listed = Listed {
        count: "count_hosts",
        list: "list_hosts",
        from: FROM,
        columns: COLUMNS,
    };
    let (conditions, page) = (filter.conditions(), selection(filter));
    let part = HOSTS
        .read(
            store,
            conditions,
            &page,
            filter.paging,
            filter.cursor.is_some(),
            &filter.keys(),
        )
        .await?;
    let mut items: Vec<Host> = part.items.iter().map(host).collect();
    count_states(store, &mut items, &filter.vm_reach).await?;
    Ok(Part {
        items,
        total: part.total,
        next: part.next,
    })
}

/// One host, if it is within `reach`; of its virtual machines those within `vm_reach` are counted.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, id: HostId, reach: &Reach, vm_reach: &Reach) -> Result<Option<Host>, Error> {
    let within = host_within("h.id", 2, 3);
    let statement = format!("-- get_host{}{FROM}\nWHERE h.uuid = $1 AND {within}", *HOST);
    let client = store.get().await?;
    let rows = client
        .query(&statement, &[&id.0, &reach.allowed(), &reach.denied()])
        .await
        .map_err(Error::statement("get_host"))?;
    drop(client);
    let mut hosts: Vec<Host> = rows.iter().map(host).collect();
    count_states(store, &mut hosts, vm_reach).await?;
    Ok(hosts.pop())
}

/// Counts the virtual machines of hosts, as far as they are within `reach`.
pub(crate) async fn count_states(store: &Store, hosts: &mut [Host], reach: &Reach) -> Result<(), Error> {
    let statement = format!(
        "-- host_states
SELECT host_id,
    CASE WHEN last_seen_at >= now() - make_interval(secs => $2::int8::float8) THEN state END AS reported, count(*)
FROM vm WHERE host_id = ANY ($1) AND archived_at IS NULL AND {}
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
