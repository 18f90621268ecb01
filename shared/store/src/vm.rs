//! Virtual machines, as lists and pages show them: all from the VM's own row, which ingest keeps fresh to
//! [`REPORTING_S`].

use crate::access::vm_within;
use crate::export::Selection;
use crate::{Error, Order, Page, Paging, REPORTING_S, Store, page};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vmscope_model::access::Reach;
use vmscope_model::{HostId, VmId};

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Its UUID.
    pub id: VmId,
    /// Its database id.
    pub vm_id: i32,
    /// Name of the libvirt domain; the UUID until the agent has told it.
    pub name: String,
    /// UUID of its host.
    pub host: HostId,
    /// Name of its host.
    pub host_name: String,
    /// Last known state, a libvirt code; `None` before its first sample.
    pub state: Option<i16>,
    /// Reason of the state, a libvirt code.
    pub state_reason: Option<i16>,
    /// Its last sample was taken in the last [`REPORTING_S`].
    pub reporting: bool,
    /// Virtual processors in use.
    pub vcpus: Option<i32>,
    /// Memory that it may use, in bytes.
    pub memory_maximum_bytes: Option<i64>,
    /// Memory that it uses, in bytes.
    pub memory_used_bytes: Option<i64>,
    /// Who says so: a code of the metric `memory_used_source`.
    pub memory_used_source: Option<i16>,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// When a sample of it was last noted, to 10 s.
    pub last_sample_at: Option<Timestamp>,
}

/// By what VMs are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Sort {
    /// Name.
    #[default]
    Name,
    /// Code of the state.
    State,
    /// Name of the host.
    Host,
    /// Time of the last sample.
    LastSampleAt,
}

/// What a VM does now, as far as samples tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Reports this state, a libvirt code.
    Reported(i16),
    /// No state was sampled in the last [`REPORTING_S`].
    Silent,
}

/// Which VMs, in which order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Part of the name in any case, or the beginning of the UUID; empty for all.
    pub search: String,
    /// Only VMs that do this.
    pub state: Option<State>,
    /// Only VMs of this host.
    pub host: Option<HostId>,
    /// Only VMs within this. Is not written down: whoever reads a filter again asks for the reach of that moment.
    #[serde(skip)]
    pub reach: Reach,
    /// Order.
    pub order: Order<Sort>,
    /// Page; an export has all.
    #[serde(skip)]
    pub paging: Paging,
}

/// The columns of a VM and its host.
const VM: &str = "
SELECT v.id, v.uuid, v.name, h.uuid AS host_uuid, h.name AS host_name, v.state, v.state_reason, v.vcpus,
    v.memory_maximum_bytes, v.memory_used_bytes, v.memory_used_source, v.first_seen_at, v.last_seen_at,
    coalesce(v.last_seen_at >= now() - make_interval(secs => $1::int8::float8), false) AS reporting
FROM vm v JOIN host h ON h.id = v.host_id";

/// The VMs of a [`Filter`].
const CHOSEN: &str = "
WHERE (v.name ILIKE $2 OR v.uuid::text LIKE $3)
  AND ($4::bool IS NULL OR $4 = (v.state IS NULL OR v.last_seen_at IS NULL
      OR v.last_seen_at < now() - make_interval(secs => $1::int8::float8)))
  AND ($5::int2 IS NULL OR v.state = $5) AND ($6::uuid IS NULL OR h.uuid = $6)";

/// The VMs of a filter in its order, on all pages.
pub(crate) fn selection(filter: &Filter) -> Selection {
    let column = match filter.order.by {
        Sort::Name => "v.name",
        Sort::State => "v.state",
        Sort::Host => "h.name",
        Sort::LastSampleAt => "v.last_seen_at",
    };
    let order = filter.order.clause(column, "v.id");
    let within = vm_within("v.id", 7, 8);
    let (name, uuid) = page::patterns(&filter.search);
    let (state, silent) = match filter.state {
        None => (None, None),
        Some(State::Reported(code)) => (Some(code), Some(false)),
        Some(State::Silent) => (None, Some(true)),
    };
    Selection {
        statement: format!("{VM}{CHOSEN}\n  AND {within}\n{order}"),
        parameters: vec![
            Box::new(REPORTING_S),
            Box::new(name),
            Box::new(uuid),
            Box::new(silent),
            Box::new(state),
            Box::new(filter.host.map(|host| host.0)),
            Box::new(filter.reach.allowed().map(<[_]>::to_vec)),
            Box::new(filter.reach.denied().to_vec()),
        ],
    }
}

/// VMs, a page at a time.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, filter: &Filter) -> Result<Page<Vm>, Error> {
    let count = format!(
        "-- count_vms\nSELECT count(*) FROM vm v JOIN host h ON h.id = v.host_id{CHOSEN}\n  AND {}",
        vm_within("v.id", 7, 8)
    );
    let selection = selection(filter);
    let statement = format!("-- list_vms{} LIMIT $9 OFFSET $10", selection.statement);
    let (limit, offset) = (filter.paging.limit(), filter.paging.offset());
    let mut parameters = selection.parameters();
    let client = store.get().await?;
    let total = client
        .query_one(&count, &parameters)
        .await
        .map_err(Error::statement("count_vms"))?;
    parameters.extend::<[&(dyn ToSql + Sync); 2]>([&limit, &offset]);
    let rows = client
        .query(&statement, &parameters)
        .await
        .map_err(Error::statement("list_vms"))?;
    Ok(Page {
        items: rows.iter().map(vm).collect(),
        total: total.get(0),
    })
}

/// One VM, if it is within `reach`.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, id: VmId, reach: &Reach) -> Result<Option<Vm>, Error> {
    let statement = format!("-- get_vm{VM}\nWHERE v.uuid = $2 AND {}", vm_within("v.id", 3, 4));
    let client = store.get().await?;
    let row = client
        .query_opt(
            &statement,
            &[&REPORTING_S, &id.0, &reach.allowed(), &reach.denied()],
        )
        .await
        .map_err(Error::statement("get_vm"))?;
    Ok(row.as_ref().map(vm))
}

pub(crate) fn vm(row: &Row) -> Vm {
    Vm {
        vm_id: row.get("id"),
        id: VmId(row.get("uuid")),
        name: row.get("name"),
        host: HostId(row.get("host_uuid")),
        host_name: row.get("host_name"),
        state: row.get("state"),
        state_reason: row.get("state_reason"),
        reporting: row.get("reporting"),
        vcpus: row.get("vcpus"),
        memory_maximum_bytes: row.get("memory_maximum_bytes"),
        memory_used_bytes: row.get("memory_used_bytes"),
        memory_used_source: row.get("memory_used_source"),
        first_seen_at: row.get("first_seen_at"),
        last_sample_at: row.get("last_seen_at"),
    }
}
