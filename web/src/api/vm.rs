//! Virtual machines.

use crate::api::Envelope;
use crate::api::counts::SILENT;
use crate::api::extract::{Id, Nothing, Params};
use crate::api::guest::Guest;
use crate::api::host::{Device, devices};
use crate::api::page::{self, Page};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vmscope_model::catalogue::state;
use vmscope_model::{HostId, VmId};
use vmscope_store::entity::Reference;
use vmscope_store::{Order, vm};

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
    /// Name of the last known state, which holds while `reporting`; null before the first sample.
    #[schema(required, example = "running")]
    pub state: Option<String>,
    /// Why it is in that state.
    #[schema(required, example = "booted")]
    pub state_reason: Option<String>,
    /// True when it was sampled in the last 15 s.
    pub reporting: bool,
    /// Virtual processors in use.
    #[schema(required)]
    pub vcpus: Option<i32>,
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

/// A VM with its devices, and the system inside of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct VmDetail {
    /// The VM.
    #[serde(flatten)]
    pub vm: Vm,
    /// Its virtual processors, disks and network interfaces.
    pub devices: Vec<Device>,
    /// What the system inside of it says; null when it never said anything (it has no guest agent, or nobody asks it).
    #[schema(required)]
    pub guest: Option<Guest>,
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
    #[param(minimum = 1, maximum = 100_000, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
    /// Only VMs whose name contains this, in any case, or whose UUID begins with it.
    q: String,
    /// Order; by name when not given.
    #[param(inline)]
    sort: VmSort,
    /// Only VMs that report this state, by name; `silent` for those without a sample in the last 15 s.
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

impl From<vm::Vm> for Vm {
    fn from(vm: vm::Vm) -> Self {
        let code = vm.state.map(i64::from);
        let reason = code.zip(vm.state_reason.map(i64::from));
        let source = vm.memory_used_source.map(i64::from);
        Self {
            id: vm.id.to_string(),
            name: vm.name,
            host: HostReference {
                id: vm.host.to_string(),
                name: vm.host_name,
            },
            state: code
                .and_then(|code| state::name(state::VM, code))
                .map(str::to_owned),
            state_reason: reason
                .and_then(|(code, reason)| state::vm_reason(code, reason))
                .map(str::to_owned),
            reporting: vm.reporting,
            vcpus: vm.vcpus,
            memory_maximum_bytes: vm.memory_maximum_bytes,
            memory_used_bytes: vm.memory_used_bytes,
            memory_used_source: source
                .and_then(|source| state::name(state::MEMORY_SOURCE, source))
                .map(str::to_owned),
            first_seen_at: vm.first_seen_at,
            last_sample_at: vm.last_sample_at,
        }
    }
}

impl VmSort {
    const fn order(self) -> Order<vm::Sort> {
        let (by, descending) = match self {
            Self::Name => (vm::Sort::Name, false),
            Self::NameDescending => (vm::Sort::Name, true),
            Self::State => (vm::Sort::State, false),
            Self::StateDescending => (vm::Sort::State, true),
            Self::Host => (vm::Sort::Host, false),
            Self::HostDescending => (vm::Sort::Host, true),
            Self::LastSample => (vm::Sort::LastSampleAt, false),
            Self::LastSampleDescending => (vm::Sort::LastSampleAt, true),
        };
        Order { by, descending }
    }
}

fn wanted_state(name: &str) -> Result<vm::State, ApiError> {
    if name == SILENT {
        return Ok(vm::State::Silent);
    }
    state::code(state::VM, name)
        .and_then(|code| i16::try_from(code).ok())
        .map(vm::State::Reported)
        .ok_or_else(|| ApiError::parameter("state", format_args!("{name:?} is no state of a VM")))
}

/// What is asked for, once it is known to make sense, within the caller's reach.
pub(super) fn filter(params: VmParams, caller: &Caller) -> Result<vm::Filter, ApiError> {
    let paging = page::check(params.page, params.page_size)?;
    let state = params
        .state
        .as_deref()
        .filter(|name| !name.is_empty())
        .map(wanted_state)
        .transpose()?;
    Ok(vm::Filter {
        search: params.q,
        state,
        host: params.host,
        reach: caller.reach("vm.read")?,
        order: params.sort.order(),
        paging,
    })
}

/// Virtual machines, a page at a time.
#[utoipa::path(get, path = "/vms", tag = "vms", params(VmParams),
    responses((status = 200, description = "One page", body = Envelope<Page<Vm>>)))]
pub(crate) async fn list_vms(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<VmParams>,
) -> Result<Envelope<Page<Vm>>, ApiError> {
    let filter = filter(params, &caller)?;
    Ok(Envelope::ok(page::of(
        vm::list(&app.store, &filter).await?,
        filter.paging,
    )))
}

/// One virtual machine with its devices, and what the system inside of it says of itself.
#[utoipa::path(get, path = "/vms/{id}", tag = "vms",
    params(("id" = String, Path, format = "uuid", description = "UUID of the VM")),
    responses((status = 200, description = "The VM", body = Envelope<VmDetail>)))]
pub(crate) async fn get_vm(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<VmId>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<VmDetail>, ApiError> {
    let found = vm::get(&app.store, id, &caller.reach("vm.read")?).await?;
    let vm = found.ok_or(ApiError::NotFound)?.into();
    let devices = devices(&app, Reference::Vm(id)).await?;
    let guest = vmscope_store::guest::get(&app.store, id).await?.map(Guest::from);
    Ok(Envelope::ok(VmDetail { vm, devices, guest }))
}
