//! Groups of virtual machines: what grants are scoped to.

use crate::api::extract::{Body, Id, Nothing, Params};
use crate::api::page::{self, Page};
use crate::api::user_access::Items;
use crate::api::vm::HostReference;
use crate::api::{Empty, Envelope};
use crate::auth::Caller;
use crate::error::{ApiError, Fault, Fields};
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_model::VmId;
use vmscope_model::access::Subject;
use vmscope_model::catalogue::state;
use vmscope_store::group;

/// Most characters of a name.
const MAX_NAME: usize = 64;
/// Most characters of a description.
const MAX_DESCRIPTION: usize = 500;
/// Most virtual machines that one request puts in or takes out.
const MAX_CHANGES: usize = 1_000;
const READ: &str = "group.read";
const WRITE: &str = "group.write";

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub struct VmGroup {
    /// Its id.
    pub id: String,
    /// Its name.
    #[schema(example = "shop")]
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How many virtual machines are in it.
    pub members: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<group::Group> for VmGroup {
    fn from(group: group::Group) -> Self {
        Self {
            id: group.id.to_string(),
            name: group.name,
            description: group.description,
            members: group.members,
            created_at: group.created_at,
        }
    }
}

/// Which groups.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct GroupParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, maximum = 100_000, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
    /// Only groups whose name contains this, in any case.
    q: String,
}

impl Default for GroupParams {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: page::DEFAULT_SIZE,
            q: String::new(),
        }
    }
}

/// The groups within the caller's reach, by name, a page at a time.
#[utoipa::path(get, path = "/groups", tag = "groups", params(GroupParams),
    responses((status = 200, description = "One page", body = Envelope<Page<VmGroup>>)))]
pub(crate) async fn list_groups(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<GroupParams>,
) -> Result<Envelope<Page<VmGroup>>, ApiError> {
    let paging = page::check(params.page, params.page_size)?;
    let filter = group::Filter {
        search: params.q,
        reach: caller.reach(READ)?,
        paging,
    };
    Ok(Envelope::ok(page::of(
        group::list(&app.store, &filter).await?,
        paging,
    )))
}

/// One group.
#[utoipa::path(get, path = "/groups/{id}", tag = "groups", params(("id" = Uuid, Path, description = "The group")),
    responses((status = 200, description = "The group", body = Envelope<VmGroup>)))]
pub(crate) async fn get_group(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<VmGroup>, ApiError> {
    Ok(Envelope::ok(visible(&app, &caller, id).await?.into()))
}

/// The group, if the caller may see it: what is out of his reach does not exist for him.
async fn visible(app: &App, caller: &Caller, id: Uuid) -> Result<group::Group, ApiError> {
    if !caller.reach(READ)?.includes(&Subject::within([id])) {
        return Err(ApiError::NotFound);
    }
    group::get(&app.store, id).await?.ok_or(ApiError::NotFound)
}

/// The group, if the caller may change it.
async fn changeable(app: &App, caller: &Caller, id: Uuid) -> Result<group::Group, ApiError> {
    let group = visible(app, caller, id).await?;
    caller.require(WRITE, &Subject::within([id]))?;
    Ok(group)
}

/// A group as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupDefinition {
    /// Its name.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
}

impl GroupDefinition {
    fn check(self) -> Result<group::Definition, ApiError> {
        let mut fields = Fields::default();
        fields.text("name", &self.name, 1, MAX_NAME);
        fields.text("description", &self.description, 0, MAX_DESCRIPTION);
        fields.check()?;
        Ok(group::Definition {
            name: self.name.trim().to_owned(),
            description: self.description.trim().to_owned(),
        })
    }
}

/// Makes an empty group. Needs the permission for everything.
#[utoipa::path(post, path = "/groups", tag = "groups", request_body = GroupDefinition, responses(
    (status = 200, description = "The group", body = Envelope<VmGroup>),
    (status = 409, description = "40900 name taken", body = crate::error::Problem)))]
pub(crate) async fn create_group(
    State(app): State<App>,
    caller: Caller,
    Body(definition): Body<GroupDefinition>,
) -> Result<Envelope<VmGroup>, ApiError> {
    caller.require(WRITE, &Subject::installation())?;
    let definition = definition.check()?;
    let made = group::create(&app.store, &caller.context(), &definition).await?;
    Ok(Envelope::ok(made.into()))
}

/// Gives a group another name and description.
#[utoipa::path(patch, path = "/groups/{id}", tag = "groups", request_body = GroupDefinition,
    params(("id" = Uuid, Path, description = "The group")), responses(
    (status = 200, description = "The group", body = Envelope<VmGroup>),
    (status = 409, description = "40900 name taken", body = crate::error::Problem)))]
pub(crate) async fn change_group(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Body(definition): Body<GroupDefinition>,
) -> Result<Envelope<VmGroup>, ApiError> {
    let definition = definition.check()?;
    changeable(&app, &caller, id).await?;
    let changed = group::update(&app.store, &caller.context(), id, &definition).await?;
    Ok(Envelope::ok(changed.into()))
}

/// Deletes a group that no grant is scoped to. Its virtual machines stay. Needs the permission for everything.
#[utoipa::path(delete, path = "/groups/{id}", tag = "groups", params(("id" = Uuid, Path, description = "The group")), responses(
    (status = 200, description = "Deleted", body = Envelope<Empty>),
    (status = 409, description = "40901 in use", body = crate::error::Problem)))]
pub(crate) async fn delete_group(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    visible(&app, &caller, id).await?;
    caller.require(WRITE, &Subject::installation())?;
    group::delete(&app.store, &caller.context(), id).await?;
    Ok(Envelope::ok(Empty))
}

/// A virtual machine in a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub host: HostReference,
    /// Its state; null before the first sample.
    #[schema(required)]
    pub state: Option<&'static str>,
}

impl From<group::Member> for Member {
    fn from(member: group::Member) -> Self {
        Self {
            id: member.vm.to_string(),
            name: member.name,
            host: HostReference {
                id: member.host.to_string(),
                name: member.host_name,
            },
            state: member.state.and_then(|code| state::name(state::VM, code.into())),
        }
    }
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct MemberParams {
    /// Number of the page, from 1.
    #[param(minimum = 1, maximum = 100_000, default = 1)]
    page: u32,
    /// Most items a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    page_size: u32,
}

impl Default for MemberParams {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: page::DEFAULT_SIZE,
        }
    }
}

/// The virtual machines of a group, by name, a page at a time.
#[utoipa::path(get, path = "/groups/{id}/members", tag = "groups",
    params(("id" = Uuid, Path, description = "The group"), MemberParams),
    responses((status = 200, description = "One page", body = Envelope<Page<Member>>)))]
pub(crate) async fn list_members(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(params): Params<MemberParams>,
) -> Result<Envelope<Page<Member>>, ApiError> {
    let paging = page::check(params.page, params.page_size)?;
    visible(&app, &caller, id).await?;
    let members = group::members(&app.store, id, paging).await?;
    Ok(Envelope::ok(page::of(members, paging)))
}

/// Virtual machines to put in and to take out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberChanges {
    /// UUIDs of those to put in.
    #[serde(default)]
    #[schema(max_items = 1000)]
    add: Vec<Uuid>,
    /// UUIDs of those to take out.
    #[serde(default)]
    #[schema(max_items = 1000)]
    remove: Vec<Uuid>,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberResult {
    /// The virtual machine's UUID.
    pub vm: String,
    /// What became of it.
    pub result: MemberOutcome,
}

/// What became of a virtual machine that was to be put in or taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberOutcome {
    /// It is in now.
    Added,
    /// It was in before.
    AlreadyIn,
    /// It is out now.
    Removed,
    /// It was not in.
    NotIn,
    /// It would give somebody what the caller may not do there himself.
    Denied,
    /// There is no such virtual machine, or the caller may not see it.
    Unknown,
}

impl From<group::MemberChange> for MemberOutcome {
    fn from(change: group::MemberChange) -> Self {
        match change {
            group::MemberChange::Added => Self::Added,
            group::MemberChange::AlreadyIn => Self::AlreadyIn,
            group::MemberChange::Removed => Self::Removed,
            group::MemberChange::NotIn => Self::NotIn,
            group::MemberChange::Denied => Self::Denied,
            group::MemberChange::Unknown => Self::Unknown,
        }
    }
}

/// Puts virtual machines into a group and takes others out. Who sees the group only can't add to it what he may not see otherwise.
#[utoipa::path(put, path = "/groups/{id}/members", tag = "groups", request_body = MemberChanges,
    params(("id" = Uuid, Path, description = "The group")),
    responses((status = 200, description = "What became of each", body = Envelope<Items<MemberResult>>)))]
pub(crate) async fn change_members(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Body(changes): Body<MemberChanges>,
) -> Result<Envelope<Items<MemberResult>>, ApiError> {
    let mut fields = Fields::default();
    fields.require(
        changes.add.len() <= MAX_CHANGES,
        "add",
        Fault::TooLong(MAX_CHANGES),
    );
    fields.require(
        changes.remove.len() <= MAX_CHANGES,
        "remove",
        Fault::TooLong(MAX_CHANGES),
    );
    fields.check()?;
    changeable(&app, &caller, id).await?;
    let ids = |list: Vec<Uuid>| list.into_iter().map(VmId).collect::<Vec<VmId>>();
    let wanted = group::Wanted {
        add: ids(changes.add),
        remove: ids(changes.remove),
        reach: caller.reach("vm.read")?,
    };
    let results =
        group::change_members(&app.store, &caller.context(), caller.authority(), id, &wanted).await?;
    let items = results
        .into_iter()
        .map(|(vm, change)| MemberResult {
            vm: vm.to_string(),
            result: change.into(),
        })
        .collect();
    Ok(Envelope::ok(Items { items }))
}
