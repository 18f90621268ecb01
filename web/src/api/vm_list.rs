//! The list of virtual machines, and what it comes to.

use crate::api::Envelope;
use crate::api::counts::SILENT;
use crate::api::extract::Params;
use crate::api::label;
use crate::api::page::{self, Slice, Wanted};
use crate::api::vm::Vm;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_model::HostId;
use vmscope_model::access::Subject;
use vmscope_model::catalogue::state;
use vmscope_store::vm::{self, Range, Sort};

/// Whether machines that have left their host are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArchivedChoice {
    /// They are not.
    #[default]
    False,
    /// They alone are.
    True,
    /// They are among the others.
    All,
}

/// Which VMs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct VmParams {
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
    /// Only VMs with this in the name, the host's name, a label, or the name and addresses of the system inside, in any case; or whose
    /// UUID begins with it.
    q: String,
    /// Order: `name`, `state`, `host`, `last_sample_at`, `vcpus`, `memory_maximum`, `memory_used`, `first_seen_at`, up to four with commas
    /// between them, `-` for descending; by name when not given.
    #[param(example = "-state,name")]
    sort: String,
    /// Only VMs that report this state, by name; `silent` for those without a sample in the last 15 s.
    #[param(example = "running")]
    state: Option<String>,
    /// Only VMs on this host, by UUID.
    #[param(value_type = Option<String>, format = "uuid")]
    host: Option<HostId>,
    /// Only VMs in this group.
    group: Option<Uuid>,
    /// Only VMs with these labels, with commas between them: `key=value`, or `key` for any value. A comma in a value is `\\,`.
    #[param(example = "env=prod,tier")]
    label: String,
    /// Only VMs with at least so many virtual processors.
    vcpus_min: Option<i32>,
    /// Only VMs with at most so many virtual processors.
    vcpus_max: Option<i32>,
    /// Only VMs that may use at least so much memory.
    memory_min_bytes: Option<i64>,
    /// Only VMs that may use at most so much memory.
    memory_max_bytes: Option<i64>,
    /// Only VMs that were entered by somebody, or only others.
    manual: Option<bool>,
    /// Only VMs with a sample in the last 15 s, or only others.
    reporting: Option<bool>,
    /// Whether VMs that have left their host are listed.
    #[param(inline)]
    archived: ArchivedChoice,
}

impl VmParams {
    /// Which part is wanted.
    fn wanted(&self) -> Result<Wanted, ApiError> {
        Wanted::new(
            (self.page, self.page_size),
            (self.cursor.as_deref(), self.limit),
            &self.sort,
        )
    }
}

/// What these parameters choose of what the caller may see, on all pages.
pub(super) fn filter(params: &VmParams, caller: &Caller) -> Result<vm::Filter, ApiError> {
    if let Some(group) = params.group {
        // Who may not see the group is not told who is in it.
        if !caller
            .reach_or_nothing("group.read")?
            .includes(&Subject::within([group]))
        {
            return Err(ApiError::parameter("group", "there is none"));
        }
    }
    let state = params.state.as_deref().filter(|name| !name.is_empty());
    Ok(vm::Filter {
        search: params.q.trim().to_owned(),
        state: state.map(wanted_state).transpose()?,
        host: params.host,
        group: params.group,
        labels: label::wanted(&params.label)?,
        vcpus: Range {
            min: params.vcpus_min,
            max: params.vcpus_max,
        },
        memory_bytes: Range {
            min: params.memory_min_bytes,
            max: params.memory_max_bytes,
        },
        manual: params.manual,
        reporting: params.reporting,
        archived: match params.archived {
            ArchivedChoice::False => vm::Archived::Without,
            ArchivedChoice::True => vm::Archived::Only,
            ArchivedChoice::All => vm::Archived::With,
        },
        reach: caller.reach("vm.read")?,
        order: page::order(&params.sort, sort)?,
        ..vm::Filter::default()
    })
}

fn sort(name: &str) -> Option<Sort> {
    Some(match name {
        "name" => Sort::Name,
        "state" => Sort::State,
        "host" => Sort::Host,
        "last_sample_at" => Sort::LastSampleAt,
        "vcpus" => Sort::Vcpus,
        "memory_maximum" => Sort::MemoryMaximum,
        "memory_used" => Sort::MemoryUsed,
        "first_seen_at" => Sort::FirstSeenAt,
        _ => return None,
    })
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

/// Virtual machines, a page at a time, or one part after another.
#[utoipa::path(get, path = "/vms", tag = "vms", params(VmParams),
    responses((status = 200, description = "One part", body = Envelope<Slice<Vm>>)))]
pub(crate) async fn list_vms(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<VmParams>,
) -> Result<Envelope<Slice<Vm>>, ApiError> {
    let wanted = params.wanted()?;
    let filter = vm::Filter {
        paging: wanted.paging,
        cursor: wanted.cursor.clone(),
        ..filter(&params, &caller)?
    };
    wanted.require(|cursor| filter.takes(cursor))?;
    let part = vm::list(&app.store, &filter).await?;
    let numbers: Vec<i32> = part.items.iter().map(|vm| vm.vm_id).collect();
    let mut labels = vmscope_store::label::of_vms(&app.store, &numbers).await?;
    let items = part.items.into_iter().map(|vm| {
        let labels = labels.remove(&vm.vm_id).unwrap_or_default();
        Vm::new(vm, labels)
    });
    Ok(Envelope::ok(wanted.slice(items.collect(), part.total, part.next)))
}
