//! Groups of virtual machines: what grants are scoped to.

use crate::api::counts::number;
use crate::api::extract::{Body, Id, Nothing, Params};
use crate::api::page::{self, Page};
use crate::api::{Empty, Envelope};
use crate::auth::Caller;
use crate::error::{ApiError, Fault, Fields};
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_model::access::Subject;
use vmscope_model::rule::Rule;
use vmscope_store::access::{Failure, Refusal};
use vmscope_store::group;

/// Most characters of a name.
const MAX_NAME: usize = 64;
/// Most characters of a description.
const MAX_DESCRIPTION: usize = 500;
/// Most groups within one.
const MAX_CHILDREN: usize = 100;
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
    /// The rule that puts machines into it; null for none.
    #[schema(required, example = "label.env = prod and host in (a, b)")]
    pub rule: Option<String>,
    /// The groups whose machines are in it, too, as far as the caller may see them.
    pub children: Vec<GroupReference>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A group by its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupReference {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// Its name.
    pub name: String,
}

impl VmGroup {
    fn new(group: group::Group, names: &HashMap<Uuid, String>) -> Self {
        let children = group.children.iter().filter_map(|id| {
            Some(GroupReference {
                id: id.to_string(),
                name: names.get(id)?.clone(),
            })
        });
        Self {
            id: group.id.to_string(),
            name: group.name,
            description: group.description,
            members: group.members,
            rule: group.rule,
            children: children.collect(),
            created_at: group.created_at,
        }
    }
}

/// These groups, with the names of their parts.
async fn shown(app: &App, caller: &Caller, groups: Vec<group::Group>) -> Result<Vec<VmGroup>, ApiError> {
    let seen = caller.reach(READ)?;
    let children = groups.iter().flat_map(|group| &group.children).copied();
    let children: Vec<Uuid> = children
        .filter(|id| seen.includes(&Subject::within([*id])))
        .collect();
    let names = if children.is_empty() {
        HashMap::new()
    } else {
        group::names(&app.store, &children).await?
    };
    Ok(groups
        .into_iter()
        .map(|group| VmGroup::new(group, &names))
        .collect())
}

/// This group, with the names of its parts.
async fn shown_one(app: &App, caller: &Caller, group: group::Group) -> Result<Envelope<VmGroup>, ApiError> {
    let shown = shown(app, caller, vec![group]).await?.pop();
    shown.map(Envelope::ok).ok_or(ApiError::Internal)
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
    let found = group::list(&app.store, &filter).await?;
    let (total, items) = (found.total, shown(&app, &caller, found.items).await?);
    Ok(Envelope::ok(Page {
        items,
        page: paging.page,
        page_size: paging.page_size,
        total: number(total),
    }))
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
    let group = visible(&app, &caller, id).await?;
    shown_one(&app, &caller, group).await
}

/// The group, if the caller may see it: what is out of his reach does not exist for him.
pub(super) async fn visible(app: &App, caller: &Caller, id: Uuid) -> Result<group::Group, ApiError> {
    if !caller.reach(READ)?.includes(&Subject::within([id])) {
        return Err(ApiError::NotFound);
    }
    group::get(&app.store, id).await?.ok_or(ApiError::NotFound)
}

/// The group, if the caller may change it.
pub(super) async fn changeable(app: &App, caller: &Caller, id: Uuid) -> Result<group::Group, ApiError> {
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
    /// The rule that puts machines into it; empty for none. What is left out stays as it is.
    #[schema(max_length = 2000, example = "label.env = prod and host in (a, b)")]
    rule: Option<String>,
    /// The groups whose machines are to be in it, too. What is left out stays as it is, and so do those that the caller may not see.
    #[schema(max_items = 100)]
    children: Option<BTreeSet<Uuid>>,
}

impl GroupDefinition {
    fn check(self) -> Result<group::Definition, ApiError> {
        let mut fields = Fields::default();
        fields.text("name", &self.name, 1, MAX_NAME);
        fields.text("description", &self.description, 0, MAX_DESCRIPTION);
        let rule = self.rule.as_deref().filter(|rule| !rule.trim().is_empty());
        if let Some(Err(error)) = rule.map(str::parse::<Rule>) {
            fields.refuse("rule", Fault::Rule(error));
        }
        let parts = self.children.as_ref().map_or(0, BTreeSet::len);
        fields.require(parts <= MAX_CHILDREN, "children", Fault::TooLong(MAX_CHILDREN));
        fields.check()?;
        Ok(group::Definition {
            name: self.name.trim().to_owned(),
            description: self.description.trim().to_owned(),
            rule: self.rule,
            children: self.children.map(|children| children.into_iter().collect()),
        })
    }
}

/// Refuses parts that the caller may not see; what he does not see of `before` stays.
fn check_children(
    caller: &Caller,
    definition: &mut group::Definition,
    before: &[Uuid],
) -> Result<(), ApiError> {
    let seen = caller.reach(READ)?;
    let is_seen = |id: &Uuid| seen.includes(&Subject::within([*id]));
    let Some(children) = &mut definition.children else {
        return Ok(());
    };
    if !children.iter().all(is_seen) {
        return Err(ApiError::field("children", Fault::NotFound));
    }
    children.extend(before.iter().filter(|id| !is_seen(id)));
    Ok(())
}

/// A part that is not there is a matter of its field.
fn explain(failure: Failure) -> ApiError {
    match failure {
        Failure::Refused(Refusal::Unknown("part")) => ApiError::field("children", Fault::NotFound),
        other => other.into(),
    }
}

/// Makes a group. Needs the permission for everything.
#[utoipa::path(post, path = "/groups", tag = "groups", request_body = GroupDefinition, responses(
    (status = 200, description = "The group", body = Envelope<VmGroup>),
    (status = 409, description = "40900 name taken", body = crate::error::Problem)))]
pub(crate) async fn create_group(
    State(app): State<App>,
    caller: Caller,
    Body(definition): Body<GroupDefinition>,
) -> Result<Envelope<VmGroup>, ApiError> {
    caller.require(WRITE, &Subject::installation())?;
    let mut definition = definition.check()?;
    check_children(&caller, &mut definition, &[])?;
    let made = group::create(&app.store, &caller.context(), caller.authority(), &definition).await;
    shown_one(&app, &caller, made.map_err(explain)?).await
}

/// Gives a group another name, description, rule and parts. A rule or a part goes on putting machines into the group: who changes one must hold
/// everywhere all that roles give and deny within the group, and within those that it is a part of.
#[utoipa::path(patch, path = "/groups/{id}", tag = "groups", request_body = GroupDefinition,
    params(("id" = Uuid, Path, description = "The group")), responses(
    (status = 200, description = "The group", body = Envelope<VmGroup>),
    (status = 409, description = "40900 name taken, 40904 it would be a part of itself", body = crate::error::Problem)))]
pub(crate) async fn change_group(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Body(definition): Body<GroupDefinition>,
) -> Result<Envelope<VmGroup>, ApiError> {
    let mut definition = definition.check()?;
    let before = changeable(&app, &caller, id).await?;
    check_children(&caller, &mut definition, &before.children)?;
    let changed = group::update(&app.store, &caller.context(), caller.authority(), id, &definition).await;
    shown_one(&app, &caller, changed.map_err(explain)?).await
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
    group::delete(&app.store, &caller.context(), caller.authority(), id).await?;
    Ok(Envelope::ok(Empty))
}
