//! Virtual machines, counted.

use crate::api::Envelope;
use crate::api::counts::{by_name, number};
use crate::api::extract::Params;
use crate::api::vm_list::{VmParams, filter};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use vmscope_model::access::Subject;
use vmscope_store::vm;

/// Virtual machines, counted. Hosts, groups and labels are the hundred with most machines.
#[derive(Debug, Serialize, ToSchema)]
pub struct VmStatistics {
    /// All of them.
    pub total: u64,
    /// By state; those without a sample in the last 15 s are `silent`.
    #[schema(example = json!({"running": 3, "silent": 2}))]
    pub by_state: BTreeMap<String, u64>,
    /// By host, the largest first.
    pub hosts: Vec<NamedCount>,
    /// By group that the caller may see, the largest first; a machine may be in several.
    pub groups: Vec<NamedCount>,
    /// By label, the most frequent first.
    pub labels: Vec<LabelCount>,
}

/// How many virtual machines something has.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedCount {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// How many virtual machines have a label.
#[derive(Debug, Serialize, ToSchema)]
pub struct LabelCount {
    /// Its key.
    #[schema(example = "env")]
    pub key: String,
    /// Its value.
    #[schema(example = "prod")]
    pub value: String,
    /// How many.
    pub count: u64,
}

/// Counts virtual machines: the parameters are those of the list, of which order and page do not matter.
#[utoipa::path(get, path = "/vms/statistics", tag = "vms", params(VmParams),
    responses((status = 200, description = "The counts", body = Envelope<VmStatistics>)))]
pub(crate) async fn get_vm_statistics(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<VmParams>,
) -> Result<Envelope<VmStatistics>, ApiError> {
    let counted = vm::statistics(&app.store, &filter(&params, &caller)?).await?;
    let seen = caller.reach_or_nothing("group.read")?;
    let host = |host: vm::HostCount| NamedCount {
        id: host.id.to_string(),
        name: host.name,
        count: number(host.count),
    };
    let group = |group: vm::GroupCount| NamedCount {
        id: group.id.to_string(),
        name: group.name,
        count: number(group.count),
    };
    let label = |label: vm::LabelCount| LabelCount {
        key: label.key,
        value: label.value,
        count: number(label.count),
    };
    let visible = |group: &vm::GroupCount| seen.includes(&Subject::within([group.id]));
    Ok(Envelope::ok(VmStatistics {
        total: number(counted.total),
        by_state: by_name(&counted.by_state),
        hosts: counted.hosts.into_iter().map(host).collect(),
        groups: counted.groups.into_iter().filter(visible).map(group).collect(),
        labels: counted.labels.into_iter().map(label).collect(),
    }))
}
