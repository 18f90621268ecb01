//! Virtual machines, as lists and pages show them: all from the VM's own row, which ingest keeps fresh to
//! [`REPORTING_S`].

mod archive;
mod edit;
mod list;
mod manual;
mod statistics;

pub use archive::archive;
pub use edit::{Edit, Edited, LabelEdit, edit};
pub(crate) use list::selection;
pub use list::{Archived, Filter, Range, Sort, State, list};
pub use manual::{Change, Definition, change, create, delete};
pub use statistics::{GroupCount, HostCount, LabelCount, Statistics, statistics};

use crate::access::vm_within;
use crate::{Error, REPORTING_S, Store};
use jiff::Timestamp;
use std::sync::LazyLock;
use tokio_postgres::Row;
use uuid::Uuid;
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
    /// UUID of its host; a manual one may be nowhere.
    pub host: Option<HostId>,
    /// Name of its host; empty without.
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
    /// Somebody entered it: no agent sees it.
    pub manual: bool,
    /// What somebody wrote about it.
    pub description: String,
    /// Since when lists leave it out, because the inventory of its host lacks it.
    pub archived_at: Option<Timestamp>,
}

/// The columns of a VM and its host, [`COLUMNS`] of them.
static VM: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
SELECT v.id, v.uuid, v.name, h.uuid AS host_uuid, coalesce(h.name, '') AS host_name, v.state, v.state_reason, v.vcpus,
    v.memory_maximum_bytes, v.memory_used_bytes, v.memory_used_source, v.first_seen_at, v.last_seen_at,
    coalesce(v.last_seen_at >= now() - interval '{REPORTING_S} s', false) AS reporting,
    v.manual, v.description, v.archived_at"
    )
});

/// How many columns a VM has.
const COLUMNS: usize = 17;

/// One VM, archived or not, if it is within `reach`.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, id: VmId, reach: &Reach) -> Result<Option<Vm>, Error> {
    let statement = format!(
        "-- get_vm{}\nFROM vm v LEFT JOIN host h ON h.id = v.host_id WHERE v.uuid = $1 AND {}",
        *VM,
        vm_within("v.id", 2, 3)
    );
    let client = store.get().await?;
    let row = client
        .query_opt(&statement, &[&id.0, &reach.allowed(), &reach.denied()])
        .await
        .map_err(Error::statement("get_vm"))?;
    Ok(row.as_ref().map(vm))
}

pub(crate) fn vm(row: &Row) -> Vm {
    Vm {
        vm_id: row.get("id"),
        id: VmId(row.get("uuid")),
        name: row.get("name"),
        host: row.get::<_, Option<Uuid>>("host_uuid").map(HostId),
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
        manual: row.get("manual"),
        description: row.get("description"),
        archived_at: row.get("archived_at"),
    }
}
