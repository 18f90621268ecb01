//! Roles, and who has what by them.

use crate::api::account::UserReference;
use crate::api::extract::{Body, Id, Nothing, Params};
use crate::api::rights::{Effect, Reason, ScopeNames};
use crate::api::user_access::{Items, known, subject};
use crate::api::{Empty, Envelope};
use crate::auth::Caller;
use crate::error::{ApiError, Fault, Fields};
use crate::language::Language;
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_model::access::{self, Entry, Node, Permission};
use vmscope_store::access::{Failure, Refusal};
use vmscope_store::{grant, role};

/// Most characters of a name.
const MAX_NAME: usize = 64;
/// Most characters of a description.
const MAX_DESCRIPTION: usize = 500;
/// Most entries or parents of a role.
const MAX_PARTS: usize = 200;

/// An entry of a role.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleEntry {
    /// The permission, and all below it.
    #[schema(example = "vm.read", max_length = 64)]
    pub permission: String,
    /// Whether it is allowed or denied.
    pub effect: Effect,
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
pub struct Role {
    /// Its id.
    pub id: String,
    /// Its name.
    #[schema(example = "night shift")]
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Every installation has it as it is.
    pub built_in: bool,
    /// What it allows and denies itself.
    pub entries: Vec<RoleEntry>,
    /// Ids of the roles that it inherits from.
    pub parents: Vec<String>,
    /// How many grants give it.
    pub grants: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<role::Role> for Role {
    fn from(role: role::Role) -> Self {
        let entry = |entry: Entry| RoleEntry {
            permission: entry.permission.to_string(),
            effect: entry.effect.into(),
        };
        Self {
            id: role.id.to_string(),
            name: role.name,
            description: role.description,
            built_in: role.built_in,
            entries: role.entries.into_iter().map(entry).collect(),
            parents: role.parents.iter().map(Uuid::to_string).collect(),
            grants: role.grants,
            created_at: role.created_at,
            updated_at: role.updated_at,
        }
    }
}

/// Every role: the built-in ones first, the others by name.
#[utoipa::path(get, path = "/roles", tag = "roles",
    responses((status = 200, description = "All of them", body = Envelope<Items<Role>>)))]
pub(crate) async fn list_roles(
    State(app): State<App>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Items<Role>>, ApiError> {
    let items = role::list(&app.store)
        .await?
        .into_iter()
        .map(Role::from)
        .collect();
    Ok(Envelope::ok(Items { items }))
}

/// One role.
#[utoipa::path(get, path = "/roles/{id}", tag = "roles", params(("id" = Uuid, Path, description = "The role")),
    responses((status = 200, description = "The role", body = Envelope<Role>)))]
pub(crate) async fn get_role(
    State(app): State<App>,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Role>, ApiError> {
    let role = role::get(&app.store, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Envelope::ok(role.into()))
}

/// A role as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleDefinition {
    /// Its name.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
    /// What it allows and denies itself.
    #[serde(default)]
    #[schema(max_items = 200)]
    entries: Vec<RoleEntry>,
    /// Ids of the roles that it inherits from.
    #[serde(default)]
    #[schema(max_items = 200)]
    parents: Vec<Uuid>,
}

impl RoleDefinition {
    fn check(self) -> Result<role::Definition, ApiError> {
        let mut fields = Fields::default();
        fields.text("name", &self.name, 1, MAX_NAME);
        fields.text("description", &self.description, 0, MAX_DESCRIPTION);
        fields.require(
            self.entries.len() <= MAX_PARTS,
            "entries",
            Fault::TooLong(MAX_PARTS),
        );
        fields.require(
            self.parents.len() <= MAX_PARTS,
            "parents",
            Fault::TooLong(MAX_PARTS),
        );
        let mut entries = Vec::with_capacity(self.entries.len());
        for (number, entry) in self.entries.iter().enumerate() {
            match Permission::known(&entry.permission) {
                Some(permission) => entries.push(Entry {
                    permission,
                    effect: entry.effect.into(),
                }),
                None => fields.refuse(&format!("entries.{number}.permission"), Fault::UnknownValue),
            }
        }
        fields.check()?;
        entries.sort_by(|a, b| a.permission.cmp(&b.permission));
        entries.dedup();
        let mut parents = self.parents;
        parents.sort_unstable();
        parents.dedup();
        Ok(role::Definition {
            name: self.name.trim().to_owned(),
            description: self.description.trim().to_owned(),
            entries,
            parents,
        })
    }
}

/// A parent that does not exist is a wrong field.
fn explain(failure: Failure) -> ApiError {
    match failure {
        Failure::Refused(Refusal::Unknown("parent")) => ApiError::field("parents", Fault::NotFound),
        other => other.into(),
    }
}

/// Makes a role: nobody puts into it what he may not do himself.
#[utoipa::path(post, path = "/roles", tag = "roles", request_body = RoleDefinition, responses(
    (status = 200, description = "The role", body = Envelope<Role>),
    (status = 409, description = "40900 name taken", body = crate::error::Problem)))]
pub(crate) async fn create_role(
    State(app): State<App>,
    caller: Caller,
    Body(definition): Body<RoleDefinition>,
) -> Result<Envelope<Role>, ApiError> {
    let definition = definition.check()?;
    let made = role::create(&app.store, &caller.context(), caller.authority(), &definition).await;
    Ok(Envelope::ok(made.map_err(explain)?.into()))
}

/// Gives a role another definition.
#[utoipa::path(patch, path = "/roles/{id}", tag = "roles", request_body = RoleDefinition,
    params(("id" = Uuid, Path, description = "The role")), responses(
    (status = 200, description = "The role", body = Envelope<Role>),
    (status = 409, description = "40900 name taken, 40902 built in, 40903 last administrator, 40904 it would inherit from itself",
        body = crate::error::Problem)))]
pub(crate) async fn change_role(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Body(definition): Body<RoleDefinition>,
) -> Result<Envelope<Role>, ApiError> {
    let definition = definition.check()?;
    let changed = role::update(&app.store, &caller.context(), caller.authority(), id, &definition).await;
    Ok(Envelope::ok(changed.map_err(explain)?.into()))
}

/// Deletes a role that nobody has and none inherits from.
#[utoipa::path(delete, path = "/roles/{id}", tag = "roles", params(("id" = Uuid, Path, description = "The role")), responses(
    (status = 200, description = "Deleted", body = Envelope<Empty>),
    (status = 409, description = "40901 in use, 40902 built in", body = crate::error::Problem)))]
pub(crate) async fn delete_role(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    role::delete(&app.store, &caller.context(), id).await?;
    Ok(Envelope::ok(Empty))
}

/// A permission with those below it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionNode {
    /// Its name.
    #[schema(example = "vm")]
    pub name: String,
    /// What it allows, in the caller's language.
    pub help: String,
    /// It can be had for a group alone; otherwise only a grant for everything gives it.
    pub scoped: bool,
    /// The permissions that it covers.
    #[schema(no_recursion)]
    pub children: Vec<PermissionNode>,
}

impl PermissionNode {
    fn of(node: &Node, language: Language) -> Self {
        let children = access::permissions()
            .iter()
            .filter(|child| child.parent() == Some(node.name))
            .map(|child| Self::of(child, language));
        Self {
            name: node.name.to_owned(),
            help: language.pick(&node.help).to_owned(),
            scoped: node.scoped,
            children: children.collect(),
        }
    }
}

/// Every permission, as a tree.
#[utoipa::path(get, path = "/permissions", tag = "roles",
    responses((status = 200, description = "The roots of the tree", body = Envelope<Items<PermissionNode>>)))]
pub(crate) async fn list_permissions(
    language: Language,
    Params(Nothing {}): Params<Nothing>,
) -> Envelope<Items<PermissionNode>> {
    let roots = access::permissions()
        .iter()
        .filter(|node| node.parent().is_none());
    let items = roots.map(|node| PermissionNode::of(node, language)).collect();
    Envelope::ok(Items { items })
}

/// Somebody who has a permission.
#[derive(Debug, Serialize, ToSchema)]
pub struct Holder {
    /// Who.
    pub user: UserReference,
    /// The rules that give it.
    pub reasons: Vec<Reason>,
}

/// About what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HolderParams {
    /// The virtual machine that it is about; the installation itself when not given.
    vm: Option<Uuid>,
}

/// Who may do something.
#[utoipa::path(get, path = "/permissions/{name}/holders", tag = "roles",
    params(("name" = String, Path, description = "The permission", example = "vm.read"), HolderParams),
    responses((status = 200, description = "All of them, by name", body = Envelope<Items<Holder>>)))]
pub(crate) async fn list_holders(
    State(app): State<App>,
    Id(name): Id<String>,
    Params(params): Params<HolderParams>,
) -> Result<Envelope<Items<Holder>>, ApiError> {
    let permission = known(&name).map_err(|_| ApiError::NotFound)?;
    let subject = subject(&app, params.vm).await?;
    let holders = grant::holders(&app.store, &permission, &subject).await?;
    let rules = holders.iter().flat_map(|holder| &holder.decision.reasons);
    let names = ScopeNames::of(&app.store, rules.map(|rule| rule.scope)).await?;
    let items = holders
        .into_iter()
        .map(|holder| Holder {
            user: UserReference {
                id: holder.user,
                name: holder.name,
            },
            reasons: names.reasons(&holder.decision.reasons),
        })
        .collect();
    Ok(Envelope::ok(Items { items }))
}
