//! What a user may do and why: grants, effective permissions, sessions.

use crate::api::extract::{Body, Id, Nothing, Params};
use crate::api::rights::{Decision, Reason, ScopeChoice, ScopeNames};
use crate::api::scope::Scope;
use crate::api::session::Session;
use crate::api::user;
use crate::api::{Empty, Envelope};
use crate::auth::Caller;
use crate::error::{ApiError, Fault};
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use vmscope_model::VmId;
use vmscope_model::access::{self, Effective, Permission, Subject};
use vmscope_store::access::{Failure, Refusal};
use vmscope_store::{grant, login, subject};

/// A list that is never long.
#[derive(Debug, Serialize, ToSchema)]
pub struct Items<T> {
    /// All of them.
    pub items: Vec<T>,
}

/// A role by its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleReference {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A role that a user has, and where.
#[derive(Debug, Serialize, ToSchema)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// The role.
    pub role: RoleReference,
    /// Where it holds.
    pub scope: Scope,
    /// When it ends; null when it does not.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
    /// It has ended.
    pub expired: bool,
    /// When it was given.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

fn grant_of(grant: grant::Grant, names: &ScopeNames) -> Grant {
    Grant {
        id: grant.id.to_string(),
        role: RoleReference {
            id: grant.role.to_string(),
            name: grant.role_name,
        },
        scope: names.scope(grant.scope),
        expires_at: grant.expires_at,
        expired: grant.expired,
        created_at: grant.created_at,
        created_by: grant.created_by,
    }
}

/// The roles of a user, those that have ended too.
#[utoipa::path(get, path = "/users/{id}/grants", tag = "users", params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "All of them", body = Envelope<Items<Grant>>)))]
pub(crate) async fn list_grants(
    State(app): State<App>,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Items<Grant>>, ApiError> {
    user::find(&app, id).await?;
    let grants = grant::list(&app.store, id).await?;
    let names = ScopeNames::of(&app.store, grants.iter().map(|grant| grant.scope)).await?;
    let items = grants.into_iter().map(|grant| grant_of(grant, &names)).collect();
    Ok(Envelope::ok(Items { items }))
}

/// A role to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// The role's id.
    #[schema(format = "uuid")]
    role: Uuid,
    /// Where.
    scope: ScopeChoice,
    /// When it ends; never when not given.
    expires_at: Option<Timestamp>,
}

/// Gives a user a role: nobody gives what he may not do himself there.
#[utoipa::path(post, path = "/users/{id}/grants", tag = "users", request_body = NewGrant,
    params(("id" = Uuid, Path, description = "The user")), responses(
    (status = 200, description = "The grant", body = Envelope<Grant>),
    (status = 409, description = "40900 he has it already", body = crate::error::Problem)))]
pub(crate) async fn create_grant(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Body(new): Body<NewGrant>,
) -> Result<Envelope<Grant>, ApiError> {
    if new.expires_at.is_some_and(|at| at <= Timestamp::now()) {
        return Err(ApiError::field("expires_at", Fault::Past));
    }
    let wanted = grant::NewGrant {
        user: id,
        role: new.role,
        scope: new.scope.scope()?,
        expires_at: new.expires_at,
    };
    let given = grant::create(&app.store, &caller.context(), caller.authority(), &wanted)
        .await
        .map_err(|failure| match failure {
            Failure::Refused(Refusal::Unknown("role")) => ApiError::field("role", Fault::NotFound),
            Failure::Refused(Refusal::Unknown("group" | "cluster" | "scope")) => {
                ApiError::field("scope.id", Fault::NotFound)
            }
            other => other.into(),
        })?;
    let names = ScopeNames::of(&app.store, [given.scope]).await?;
    Ok(Envelope::ok(grant_of(given, &names)))
}

/// A grant of a user, in a path.
#[derive(Debug, Deserialize)]
pub struct GrantPath {
    id: Uuid,
    grant: Uuid,
}

/// Takes a role away.
#[utoipa::path(delete, path = "/users/{id}/grants/{grant}", tag = "users",
    params(("id" = Uuid, Path, description = "The user"), ("grant" = Uuid, Path, description = "The grant")), responses(
    (status = 200, description = "Taken away", body = Envelope<Empty>),
    (status = 409, description = "40903 last administrator", body = crate::error::Problem)))]
pub(crate) async fn delete_grant(
    State(app): State<App>,
    caller: Caller,
    Id(path): Id<GrantPath>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    grant::delete(
        &app.store,
        &caller.context(),
        caller.authority(),
        path.id,
        path.grant,
    )
    .await?;
    Ok(Envelope::ok(Empty))
}

/// A permission that a user has somewhere.
#[derive(Debug, Serialize, ToSchema)]
pub struct EffectivePermission {
    /// Which.
    #[schema(example = "vm.read")]
    pub permission: String,
    /// Where.
    pub scope: Scope,
    /// The rules that give it there.
    pub reasons: Vec<Reason>,
}

/// Two rules that say different things.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conflict {
    /// What both are about.
    #[schema(example = "vm.read")]
    pub permission: String,
    /// The rule that has no effect where the other one holds.
    pub allow: Reason,
    /// The rule that wins.
    pub deny: Reason,
    /// Both hold in the narrower of their scopes; otherwise only for what is in both.
    pub certain: bool,
}

/// What a user may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserAccess {
    /// His permissions, and the rules behind them.
    pub permissions: Vec<EffectivePermission>,
    /// Rules of his that say different things.
    pub conflicts: Vec<Conflict>,
}

/// What a user may do, and why.
#[utoipa::path(get, path = "/users/{id}/access", tag = "users", params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "His permissions", body = Envelope<UserAccess>)))]
pub(crate) async fn get_access(
    State(app): State<App>,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<UserAccess>, ApiError> {
    let rights = rights_of(&app, id).await?;
    let names = ScopeNames::of(&app.store, rights.rules().iter().map(|rule| rule.scope)).await?;
    let permission = |held: &access::Held| EffectivePermission {
        permission: held.permission.to_string(),
        scope: names.scope(held.scope),
        reasons: names.reasons(&held.reasons),
    };
    let conflict = |conflict: &access::Conflict| Conflict {
        permission: conflict.permission.to_string(),
        allow: names.reason(&conflict.allow),
        deny: names.reason(&conflict.deny),
        certain: conflict.certain,
    };
    Ok(Envelope::ok(UserAccess {
        permissions: rights.held().iter().map(permission).collect(),
        conflicts: rights.conflicts().iter().map(conflict).collect(),
    }))
}

async fn rights_of(app: &App, id: Uuid) -> Result<Effective, ApiError> {
    user::find(app, id).await?;
    Ok(grant::effective(&app.store, id).await?)
}

/// About what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhyParams {
    /// The permission.
    #[param(example = "vm.read")]
    permission: String,
    /// The virtual machine that it is about; the installation itself when not given.
    vm: Option<Uuid>,
}

/// Why a user may do something, or may not.
#[utoipa::path(get, path = "/users/{id}/why", tag = "users", params(("id" = Uuid, Path, description = "The user"), WhyParams),
    responses((status = 200, description = "The decision", body = Envelope<Decision>)))]
pub(crate) async fn get_why(
    State(app): State<App>,
    Id(id): Id<Uuid>,
    Params(params): Params<WhyParams>,
) -> Result<Envelope<Decision>, ApiError> {
    let permission = known(&params.permission)?;
    let subject = subject(&app, params.vm).await?;
    let decision = rights_of(&app, id).await?.decide(&permission, &subject);
    let names = ScopeNames::of(&app.store, decision.reasons.iter().map(|rule| rule.scope)).await?;
    Ok(Envelope::ok(Decision {
        allowed: decision.allowed,
        reasons: names.reasons(&decision.reasons),
    }))
}

/// The permission that a parameter names.
///
/// # Errors
/// [`ApiError::Parameter`] when this build knows none of this name.
pub(super) fn known(name: &str) -> Result<Permission, ApiError> {
    Permission::known(name)
        .ok_or_else(|| ApiError::parameter("permission", format_args!("there is no {name:?}")))
}

/// What a parameter says that a permission is about.
///
/// # Errors
/// [`ApiError::Parameter`] when there is no such virtual machine.
pub(super) async fn subject(app: &App, vm: Option<Uuid>) -> Result<Subject, ApiError> {
    match vm {
        None => Ok(Subject::installation()),
        Some(vm) => subject::of_vm(&app.store, VmId(vm))
            .await?
            .ok_or_else(|| ApiError::parameter("vm", "there is no such virtual machine")),
    }
}

/// The sessions of a user that last.
#[utoipa::path(get, path = "/users/{id}/sessions", tag = "users", params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "All of them", body = Envelope<Items<Session>>)))]
pub(crate) async fn list_user_sessions(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Items<Session>>, ApiError> {
    user::find(&app, id).await?;
    let sessions = login::sessions(&app.store, id).await?;
    let items = sessions
        .into_iter()
        .map(|session| Session::of(session, caller.session()))
        .collect();
    Ok(Envelope::ok(Items { items }))
}

/// Ends all sessions of a user.
#[utoipa::path(delete, path = "/users/{id}/sessions", tag = "users", params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "Ended", body = Envelope<Empty>)))]
pub(crate) async fn end_user_sessions(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    login::end_all(&app.store, &caller.context(), caller.authority(), id).await?;
    Ok(Envelope::ok(Empty))
}
