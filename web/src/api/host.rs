//! Hypervisor hosts.

use crate::api::Envelope;
use crate::api::counts::{by_name, number};
use crate::api::extract::{Id, Nothing, Params};
use crate::api::label;
use crate::api::page::{self, Slice, Wanted};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use vmscope_model::label::Labels;
use vmscope_model::{HostId, Kind};
use vmscope_store::entity::Reference;
use vmscope_store::host;

/// A hypervisor host. Facts that its agent could not read are empty or 0.
#[derive(Debug, Serialize, ToSchema)]
pub struct Host {
    /// UUID.
    #[schema(format = "uuid")]
    pub id: String,
    /// Host name.
    pub name: String,
    /// Operating system with version.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor model.
    pub cpu_model: String,
    /// Logical processors.
    pub cpu_count: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Hypervisor with version; empty when the agent reports the host alone.
    pub hypervisor: String,
    /// Version of the agent.
    pub agent_version: String,
    /// When the host started.
    #[schema(required)]
    pub boot_at: Option<Timestamp>,
    /// When its agent first spoke to a collector.
    pub first_seen_at: Timestamp,
    /// When its last stored sample was taken.
    #[schema(required)]
    pub last_sample_at: Option<Timestamp>,
    /// True when that was in the last 15 s.
    pub reporting: bool,
    /// Its VMs, counted by state; those without a sample in the last 15 s are `silent`.
    #[schema(example = json!({"running": 3, "silent": 1}))]
    pub vms_by_state: BTreeMap<String, u64>,
    /// Its labels.
    #[schema(example = json!({"rack": "12"}))]
    pub labels: Labels,
}

/// A host with its devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct HostDetail {
    /// The host.
    #[serde(flatten)]
    pub host: Host,
    /// Its cores, block devices, file systems and network interfaces.
    pub devices: Vec<Device>,
}

/// A device of a host or a VM: an entity of `/series` as `<kind>:<id>`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Device {
    /// Decimal number.
    #[schema(example = "17")]
    pub id: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Its name within its owner; the number of a processor.
    #[schema(example = "vda")]
    pub name: String,
}

/// Kinds of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A virtual processor, or a core of a host.
    Vcpu,
    /// A disk, or a file system of a host (its name starts with `/`).
    Disk,
    /// A network interface.
    Nic,
}

/// Which hosts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct HostParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, maximum = 100_000, default = 1)]
    page: Option<u32>,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: Option<u32>,
    /// Instead of a page: where to go on, `next_cursor` of the part before.
    cursor: Option<String>,
    /// Instead of a page: most items.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Only hosts with this in the name, a label, the system, the processor or the hypervisor, in any case; or whose UUID begins with it.
    q: String,
    /// Order: `name`, `last_sample_at`, `cpu_count`, `memory`, `first_seen_at`, up to four with commas between them, `-` for
    /// descending; by name when not given.
    #[param(example = "-last_sample_at,name")]
    sort: String,
    /// Only hosts with these labels, with commas between them: `key=value`, or `key` for any value. A comma in a value is `\\,`.
    #[param(example = "rack=12")]
    label: String,
    /// Only hosts with a sample in the last 15 s, or only others.
    reporting: Option<bool>,
}

impl Host {
    /// A host with its labels.
    fn new(host: host::Host, labels: Labels) -> Self {
        Self {
            id: host.id.to_string(),
            name: host.name,
            os: host.os,
            kernel: host.kernel,
            cpu_model: host.cpu_model,
            cpu_count: u32::try_from(host.cpu_count).unwrap_or_default(),
            memory_bytes: number(host.memory_bytes),
            hypervisor: host.hypervisor,
            agent_version: host.agent_version,
            boot_at: host.boot_at,
            first_seen_at: host.first_seen_at,
            last_sample_at: host.last_sample_at,
            reporting: host.reporting,
            vms_by_state: by_name(&host.vms_by_state),
            labels,
        }
    }
}

fn sort(name: &str) -> Option<host::Sort> {
    Some(match name {
        "name" => host::Sort::Name,
        "last_sample_at" => host::Sort::LastSampleAt,
        "cpu_count" => host::Sort::CpuCount,
        "memory" => host::Sort::Memory,
        "first_seen_at" => host::Sort::FirstSeenAt,
        _ => return None,
    })
}

/// What these parameters choose of what the caller may see, on all pages.
pub(super) fn filter(params: &HostParams, caller: &Caller) -> Result<host::Filter, ApiError> {
    Ok(host::Filter {
        search: params.q.trim().to_owned(),
        labels: label::wanted(&params.label)?,
        reporting: params.reporting,
        reach: caller.reach("host.read")?,
        vm_reach: caller.reach_or_nothing("vm.read")?,
        order: page::order(&params.sort, sort)?,
        ..host::Filter::default()
    })
}

/// The devices of a host or VM. Those of kinds that are no devices do not exist.
pub(super) async fn devices(app: &App, owner: Reference) -> Result<Vec<Device>, ApiError> {
    let kind = |kind| match kind {
        Kind::Vcpu => Some(DeviceKind::Vcpu),
        Kind::Disk => Some(DeviceKind::Disk),
        Kind::Nic => Some(DeviceKind::Nic),
        Kind::Host | Kind::Vm => None,
    };
    let devices = vmscope_store::device::list(&app.store, owner).await?.into_iter();
    Ok(devices
        .filter_map(|device| {
            Some(Device {
                kind: kind(device.kind)?,
                id: device.id.to_string(),
                name: device.name,
            })
        })
        .collect())
}

/// Hosts, a page at a time, or one part after another.
#[utoipa::path(get, path = "/hosts", tag = "hosts", params(HostParams),
    responses((status = 200, description = "One part", body = Envelope<Slice<Host>>)))]
pub(crate) async fn list_hosts(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<HostParams>,
) -> Result<Envelope<Slice<Host>>, ApiError> {
    let wanted = Wanted::new(
        (params.page, params.page_size),
        (params.cursor.as_deref(), params.limit),
        &params.sort,
    )?;
    let filter = host::Filter {
        paging: wanted.paging,
        cursor: wanted.cursor.clone(),
        ..filter(&params, &caller)?
    };
    wanted.require(|cursor| filter.takes(cursor))?;
    let part = host::list(&app.store, &filter).await?;
    let numbers: Vec<i32> = part.items.iter().map(|host| host.host_id).collect();
    let mut labels = vmscope_store::label::of_hosts(&app.store, &numbers).await?;
    let items = part.items.into_iter().map(|host| {
        let labels = labels.remove(&host.host_id).unwrap_or_default();
        Host::new(host, labels)
    });
    Ok(Envelope::ok(wanted.slice(items.collect(), part.total, part.next)))
}

/// One host with its devices.
#[utoipa::path(get, path = "/hosts/{id}", tag = "hosts",
    params(("id" = String, Path, format = "uuid", description = "UUID of the host")),
    responses((status = 200, description = "The host", body = Envelope<HostDetail>)))]
pub(crate) async fn get_host(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<HostId>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<HostDetail>, ApiError> {
    let (reach, vm_reach) = (caller.reach("host.read")?, caller.reach_or_nothing("vm.read")?);
    let found = host::get(&app.store, id, &reach, &vm_reach).await?;
    let host = found.ok_or(ApiError::NotFound)?;
    let labels = vmscope_store::label::of_hosts(&app.store, &[host.host_id])
        .await?
        .remove(&host.host_id);
    let devices = devices(&app, Reference::Host(id)).await?;
    let host = Host::new(host, labels.unwrap_or_default());
    Ok(Envelope::ok(HostDetail { host, devices }))
}
