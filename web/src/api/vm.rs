//! Virtual machines.

use crate::api::Envelope;
use crate::api::extract::{Id, Nothing, Params};
use crate::api::group_member::MemberSource;
use crate::api::guest::Guest;
use crate::api::host::{Device, devices};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use vmscope_model::VmId;
use vmscope_model::access::Subject;
use vmscope_model::catalogue::state;
use vmscope_model::label::Labels;
use vmscope_store::entity::Reference;
use vmscope_store::{group, label, vm};

/// A virtual machine. Values come from its latest sample; null when it has none.
#[derive(Debug, Serialize, ToSchema)]
pub struct Vm {
    /// UUID.
    #[schema(format = "uuid")]
    pub id: String,
    /// Name of its domain.
    pub name: String,
    /// Where it runs; null for a manual one that is nowhere.
    #[schema(required)]
    pub host: Option<HostReference>,
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
    /// Somebody entered it: no agent sees it.
    pub manual: bool,
    /// What somebody wrote about it.
    pub description: String,
    /// Since when lists leave it out, because its host does not have it any more; null when they show it.
    #[schema(required)]
    pub archived_at: Option<Timestamp>,
    /// Its labels.
    #[schema(example = json!({"env": "prod"}))]
    pub labels: Labels,
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
    /// The groups that it is in, as far as the caller may see them, by name.
    pub groups: Vec<VmMembership>,
}

/// A group that a VM is in.
#[derive(Debug, Serialize, ToSchema)]
pub struct VmMembership {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why it is in it.
    pub sources: Vec<MemberSource>,
}

impl Vm {
    /// A VM with its labels.
    pub(super) fn new(vm: vm::Vm, labels: Labels) -> Self {
        let code = vm.state.map(i64::from);
        let reason = code.zip(vm.state_reason.map(i64::from));
        let source = vm.memory_used_source.map(i64::from);
        Self {
            id: vm.id.to_string(),
            name: vm.name,
            host: vm.host.map(|host| HostReference {
                id: host.to_string(),
                name: vm.host_name,
            }),
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
            manual: vm.manual,
            description: vm.description,
            archived_at: vm.archived_at,
            labels,
        }
    }
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
    Ok(Envelope::ok(detail(&app, &caller, id).await?))
}

/// The VM, if the caller may see it.
pub(super) async fn detail(app: &App, caller: &Caller, id: VmId) -> Result<VmDetail, ApiError> {
    let found = vm::get(&app.store, id, &caller.reach("vm.read")?).await?;
    let vm = found.ok_or(ApiError::NotFound)?;
    let labels = label::of_vms(&app.store, &[vm.vm_id]).await?.remove(&vm.vm_id);
    let seen = caller.reach_or_nothing("group.read")?;
    let groups = group::of_vm(&app.store, vm.vm_id).await?.into_iter();
    let groups = groups.filter(|group| seen.includes(&Subject::within([group.id])));
    Ok(VmDetail {
        vm: Vm::new(vm, labels.unwrap_or_default()),
        devices: devices(app, Reference::Vm(id)).await?,
        guest: vmscope_store::guest::get(&app.store, id).await?.map(Guest::from),
        groups: groups.map(VmMembership::from).collect(),
    })
}

impl From<group::Membership> for VmMembership {
    fn from(group: group::Membership) -> Self {
        Self {
            id: group.id.to_string(),
            name: group.name,
            sources: group.sources.into_iter().map(MemberSource::from).collect(),
        }
    }
}
