//! Labels and groups of many virtual machines at once.

use crate::api::Envelope;
use crate::api::extract::Body;
use crate::api::label;
use crate::api::user_access::Items;
use crate::auth::Caller;
use crate::error::{ApiError, Fault, Fields};
use crate::state::App;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use uuid::Uuid;
use vmscope_model::VmId;
use vmscope_model::access::Subject;
use vmscope_model::label::{Labels, MAX_LABELS};
use vmscope_store::group;
use vmscope_store::vm::{self, Edit, Edited, LabelEdit};

/// Most virtual machines of a batch.
const MAX_VMS: usize = 1_000;
/// Most groups that a batch puts into or takes out of.
const MAX_GROUPS: usize = 50;

/// What is to become of these virtual machines.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VmBatch {
    /// UUIDs of the virtual machines.
    #[schema(min_items = 1, max_items = 1000)]
    ids: Vec<Uuid>,
    /// What is to become of their labels.
    #[serde(default)]
    labels: LabelChanges,
    /// What is to become of their groups.
    #[serde(default)]
    groups: GroupChanges,
}

/// What is to become of labels; the others stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LabelChanges {
    /// To be written.
    #[schema(example = json!({"env": "prod"}))]
    set: Labels,
    /// Keys to be removed.
    #[schema(max_items = 64)]
    remove: BTreeSet<String>,
}

/// What is to become of groups; the others stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupChanges {
    /// To be put into.
    #[schema(max_items = 50)]
    add: BTreeSet<Uuid>,
    /// To be taken out of.
    #[schema(max_items = 50)]
    remove: BTreeSet<Uuid>,
}

/// What became of one virtual machine.
#[derive(Debug, Serialize, ToSchema)]
pub struct VmBatchResult {
    /// Its UUID.
    pub vm: String,
    /// What became of it.
    pub result: VmBatchOutcome,
    /// What the caller lacks, when it was denied.
    #[schema(required)]
    pub permission: Option<String>,
}

/// What became of a virtual machine of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VmBatchOutcome {
    /// It is as it was to be.
    Done,
    /// It was so before.
    Unchanged,
    /// There is none, or the caller may not see it.
    Unknown,
    /// The caller may not: nothing of it was changed.
    Denied,
    /// It would have too many labels: nothing of it was changed.
    Malformed,
}

impl VmBatchResult {
    fn new(vm: VmId, edited: &Edited) -> Self {
        let (result, permission) = match edited {
            Edited::Done => (VmBatchOutcome::Done, None),
            Edited::Unchanged => (VmBatchOutcome::Unchanged, None),
            Edited::Unknown => (VmBatchOutcome::Unknown, None),
            Edited::Denied(lacking) => (VmBatchOutcome::Denied, Some(lacking.to_string())),
            Edited::Malformed => (VmBatchOutcome::Malformed, None),
        };
        Self {
            vm: vm.to_string(),
            result,
            permission,
        }
    }
}

impl VmBatch {
    fn check(&self) -> Result<(), ApiError> {
        let mut fields = Fields::default();
        fields.require(!self.ids.is_empty(), "ids", Fault::TooShort(1));
        fields.require(self.ids.len() <= MAX_VMS, "ids", Fault::TooLong(MAX_VMS));
        label::check(&mut fields, "labels.set", &self.labels.set);
        let (removed, groups) = (&self.labels.remove, &self.groups);
        fields.require(
            removed.len() <= MAX_LABELS,
            "labels.remove",
            Fault::TooLong(MAX_LABELS),
        );
        fields.require(
            groups.add.len() <= MAX_GROUPS,
            "groups.add",
            Fault::TooLong(MAX_GROUPS),
        );
        fields.require(
            groups.remove.len() <= MAX_GROUPS,
            "groups.remove",
            Fault::TooLong(MAX_GROUPS),
        );
        fields.check()
    }
}

/// Refuses groups that do not exist, or that the caller may not see or change.
async fn check_groups(
    app: &App,
    caller: &Caller,
    name: &str,
    groups: &BTreeSet<Uuid>,
) -> Result<(), ApiError> {
    let seen = caller.reach_or_nothing("group.read")?;
    let groups: Vec<Uuid> = groups.iter().copied().collect();
    let known = group::names(&app.store, &groups).await?;
    for group in groups {
        let subject = Subject::within([group]);
        if !(known.contains_key(&group) && seen.includes(&subject)) {
            return Err(ApiError::field(name, Fault::NotFound));
        }
        caller.require("group.write", &subject)?;
    }
    Ok(())
}

/// Changes labels and groups of many virtual machines, each as a whole or not at all. Groups need `group.write`, too.
#[utoipa::path(post, path = "/vms/batch", tag = "vms", request_body = VmBatch,
    responses((status = 200, description = "What became of each", body = Envelope<Items<VmBatchResult>>)))]
pub(crate) async fn edit_vms(
    State(app): State<App>,
    caller: Caller,
    Body(batch): Body<VmBatch>,
) -> Result<Envelope<Items<VmBatchResult>>, ApiError> {
    batch.check()?;
    check_groups(&app, &caller, "groups.add", &batch.groups.add).await?;
    check_groups(&app, &caller, "groups.remove", &batch.groups.remove).await?;
    let ids: BTreeSet<VmId> = batch.ids.into_iter().map(VmId).collect();
    let ids: Vec<VmId> = ids.into_iter().collect();
    let edit = Edit {
        labels: LabelEdit::Change {
            set: batch.labels.set,
            remove: batch.labels.remove,
        },
        add: batch.groups.add,
        remove: batch.groups.remove,
    };
    let permission = label::write_permission()?;
    let (seen, write) = (caller.reach("vm.read")?, caller.reach(permission.as_str())?);
    let rights = (&seen, (&write, &permission));
    let results = vm::edit(
        &app.store,
        &caller.context(),
        caller.authority(),
        &ids,
        &edit,
        rights,
    )
    .await?;
    let items = results.iter().map(|(vm, edited)| VmBatchResult::new(*vm, edited));
    Ok(Envelope::ok(Items {
        items: items.collect(),
    }))
}
