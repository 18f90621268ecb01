//! Virtual machines.

use crate::api::Envelope;
use crate::api::extract::{Id, Params};
use crate::api::host::Device;
use crate::api::page::{self, Page};
use crate::error::{ApiError, Problems};
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vmscope_model::{HostId, VmId};

/// A virtual machine. Values come from its latest sample; null when it has none.
#[derive(Debug, Serialize, ToSchema)]
pub struct Vm {
    /// UUID.
    #[schema(format = "uuid")]
    pub id: String,
    /// Name of its domain.
    pub name: String,
    /// Where it runs.
    pub host: HostReference,
    /// State name; null before the first sample.
    #[schema(required, example = "running")]
    pub state: Option<String>,
    /// Why it is in that state.
    #[schema(required, example = "booted")]
    pub state_reason: Option<String>,
    /// True when it was sampled in the last 15 s.
    pub reporting: bool,
    /// Virtual processors in use.
    #[schema(required)]
    pub vcpus: Option<i64>,
    /// Most memory that it may use, in bytes.
    #[schema(required)]
    pub memory_maximum_bytes: Option<i64>,
    /// Memory in use, in bytes, as seen by `memory_used_source`.
    #[schema(required)]
    pub memory_used_bytes: Option<i64>,
    /// Who says how much memory is used: `balloon`, `guest_agent` or `rss`.
    #[schema(required, example = "balloon")]
    pub memory_used_source: Option<String>,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// When its last stored sample was taken.
    #[schema(required)]
    pub last_sample_at: Option<Timestamp>,
}

/// The host of a VM.
#[derive(Debug, Serialize, ToSchema)]
pub struct HostReference {
    /// UUID.
    #[schema(format = "uuid")]
    pub id: String,
    /// Host name.
    pub name: String,
}

/// A VM with its devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct VmDetail {
    /// The VM.
    #[serde(flatten)]
    pub vm: Vm,
    /// Its virtual processors, disks and network interfaces.
    pub devices: Vec<Device>,
}

/// Orders of the list of VMs; `-` is descending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub enum VmSort {
    /// By name.
    #[default]
    #[serde(rename = "name")]
    Name,
    /// By name, backwards.
    #[serde(rename = "-name")]
    NameDescending,
    /// By state.
    #[serde(rename = "state")]
    State,
    /// By state, backwards.
    #[serde(rename = "-state")]
    StateDescending,
    /// By name of the host.
    #[serde(rename = "host")]
    Host,
    /// By name of the host, backwards.
    #[serde(rename = "-host")]
    HostDescending,
    /// Longest silent first.
    #[serde(rename = "last_sample_at")]
    LastSample,
    /// Latest sample first.
    #[serde(rename = "-last_sample_at")]
    LastSampleDescending,
}

/// Which VMs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct VmParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
    /// Only VMs whose name contains this, in any case, or whose UUID begins with it.
    q: String,
    /// Order; by name when not given.
    #[param(inline)]
    sort: VmSort,
    /// Only VMs in this state, by name.
    #[param(example = "running")]
    state: Option<String>,
    /// Only VMs on this host, by UUID.
    #[param(value_type = Option<String>, format = "uuid")]
    host: Option<HostId>,
}

impl Default for VmParams {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: page::DEFAULT_SIZE,
            q: String::new(),
            sort: VmSort::default(),
            state: None,
            host: None,
        }
    }
}

/// Virtual machines, a page at a time.
#[utoipa::path(get, path = "/vms", tag = "vms", params(VmParams),
    responses((status = 200, description = "One page", body = Envelope<Page<Vm>>), Problems))]
pub async fn list_vms(
    State(_app): State<App>,
    Params(params): Params<VmParams>,
) -> Result<Envelope<Page<Vm>>, ApiError> {
    page::check(params.page, params.page_size)?;
    Err(ApiError::DatabaseUnavailable)
}

/// One virtual machine with its devices.
#[utoipa::path(get, path = "/vms/{id}", tag = "vms",
    params(("id" = String, Path, format = "uuid", description = "UUID of the VM")),
    responses((status = 200, description = "The VM", body = Envelope<VmDetail>), Problems))]
pub async fn get_vm(State(_app): State<App>, Id(_id): Id<VmId>) -> Result<Envelope<VmDetail>, ApiError> {
    Err(ApiError::DatabaseUnavailable)
}
