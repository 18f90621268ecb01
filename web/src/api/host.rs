//! Hypervisor hosts.

use crate::api::Envelope;
use crate::api::extract::{Id, Params};
use crate::api::page::{self, Page};
use crate::error::{ApiError, Problems};
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use vmscope_model::HostId;

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
    /// Its VMs, counted by state name.
    #[schema(example = json!({"running": 3}))]
    pub vms_by_state: BTreeMap<String, u64>,
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

/// Orders of the list of hosts; `-` is descending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub enum HostSort {
    /// By name.
    #[default]
    #[serde(rename = "name")]
    Name,
    /// By name, backwards.
    #[serde(rename = "-name")]
    NameDescending,
    /// Longest silent first.
    #[serde(rename = "last_sample_at")]
    LastSample,
    /// Latest sample first.
    #[serde(rename = "-last_sample_at")]
    LastSampleDescending,
}

/// Which hosts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct HostParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
    /// Only hosts whose name contains this, in any case, or whose UUID begins with it.
    q: String,
    /// Order; by name when not given.
    #[param(inline)]
    sort: HostSort,
}

impl Default for HostParams {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: page::DEFAULT_SIZE,
            q: String::new(),
            sort: HostSort::default(),
        }
    }
}

/// Hosts, a page at a time.
#[utoipa::path(get, path = "/hosts", tag = "hosts", params(HostParams),
    responses((status = 200, description = "One page", body = Envelope<Page<Host>>), Problems))]
pub async fn list_hosts(
    State(_app): State<App>,
    Params(params): Params<HostParams>,
) -> Result<Envelope<Page<Host>>, ApiError> {
    page::check(params.page, params.page_size)?;
    Err(ApiError::DatabaseUnavailable)
}

/// One host with its devices.
#[utoipa::path(get, path = "/hosts/{id}", tag = "hosts",
    params(("id" = String, Path, format = "uuid", description = "UUID of the host")),
    responses((status = 200, description = "The host", body = Envelope<HostDetail>), Problems))]
pub async fn get_host(
    State(_app): State<App>,
    Id(_id): Id<HostId>,
) -> Result<Envelope<HostDetail>, ApiError> {
    Err(ApiError::DatabaseUnavailable)
}
