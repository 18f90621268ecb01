//! Every route, with who may call it and what happens around each request.

use crate::access::Access::{Login, Needs, OwnPassword, Public};
use crate::access::Routes;
use crate::api::extract::MAX_BODY_BYTES;
use crate::api::{
    agent, audit, document, export, gap, group, group_member, history, host, job, key, label, live, login,
    me, metric, overview, role, series, session, setup, slow, system, token, totp, user, user_access, vm,
    vm_batch, vm_list, vm_manual, vm_statistics,
};
use crate::assets;
use crate::auth::Visitor;
use crate::docs;
use crate::error::{self, ApiError};
use crate::observe::{self, Requests};
use crate::openapi::Base;
use crate::state::App;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router, routing};
use std::time::Duration;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vmscope_export::Format;

/// Where the API lives.
const API: &str = "/api/v1";
/// Files that are compressed already.
const PARQUET: &str = Format::Parquet.content_type();
/// How long a request may take until its answer begins.
const DEADLINE: Duration = Duration::from_secs(30);

/// The documented routes: a route is in the document because it is served.
pub(crate) fn api() -> OpenApiRouter<App> {
    let routes = people(own_account(resources(Routes::default())));
    let outside = Routes::default().route(Public, routes!(key::get_well_known_jwks));
    OpenApiRouter::with_openapi(Base::openapi())
        .nest(API, routes.finish())
        .merge(outside.finish())
}

fn resources(routes: Routes) -> Routes {
    routes
        .route(Login, routes!(overview::get_overview))
        .route(Needs("host.read"), routes!(host::list_hosts))
        .route(Needs("host.read"), routes!(host::get_host))
        .route(Needs("host.write"), routes!(label::set_host_labels))
        .route(Needs("vm.read"), routes!(vm_list::list_vms))
        .route(Needs("vm.read"), routes!(vm::get_vm))
        .route(Needs("vm.read"), routes!(slow::get_slow))
        .route(Needs("vm.read"), routes!(vm_statistics::get_vm_statistics))
        .route(Needs("vm.write"), routes!(vm_batch::edit_vms))
        .route(Needs("vm.write"), routes!(vm_manual::create_vm))
        .route(
            Needs("vm.write"),
            routes!(vm_manual::change_vm, vm_manual::delete_vm),
        )
        .route(Needs("vm.write"), routes!(label::set_vm_labels))
        .route(Login, routes!(metric::list_metrics))
        .route(Login, routes!(series::get_series))
        .route(Login, routes!(history::query_history))
        .route(Login, routes!(history::get_top))
        .route(Needs("ledger.read"), routes!(gap::list_gaps))
        .route(Needs("vm.read"), routes!(export::export_vms))
        .route(Needs("host.read"), routes!(export::export_hosts))
        .route(Needs("ledger.read"), routes!(export::export_gaps))
        .route(Login, routes!(export::export_history))
        .route(
            Needs("export.create"),
            routes!(job::list_exports, job::create_export),
        )
        .route(
            Needs("export.create"),
            routes!(job::get_export, job::remove_export),
        )
        .route(Needs("export.create"), routes!(job::get_export_file))
        .route(Needs("system.read"), routes!(system::get_system))
        .route(Needs("system.read"), routes!(agent::list_agents))
        .route(Login, routes!(live::open_live))
        .route(Public, routes!(document::get_openapi))
}

/// The first user, logging in, and everybody's own account.
fn own_account(routes: Routes) -> Routes {
    routes
        .route(Public, routes!(setup::get_setup, setup::set_up))
        .route(Public, routes!(login::log_in))
        .route(Public, routes!(login::refresh))
        .route(Public, routes!(key::get_jwks))
        .route(OwnPassword, routes!(login::log_out))
        .route(OwnPassword, routes!(me::get_me))
        .route(Login, routes!(me::change_me))
        .route(OwnPassword, routes!(me::change_password))
        .route(Login, routes!(session::list_sessions))
        .route(Login, routes!(session::end_session))
        .route(Login, routes!(totp::begin_totp))
        .route(Login, routes!(totp::confirm_totp))
        .route(Login, routes!(totp::renew_recovery_codes))
        .route(Login, routes!(totp::disable_totp))
        .route(Login, routes!(token::list_tokens, token::create_token))
        .route(Login, routes!(token::revoke_token))
}

/// People, what they may do, and what they did.
fn people(routes: Routes) -> Routes {
    routes
        .route(Needs("user.read"), routes!(user::list_users))
        .route(Needs("user.write"), routes!(user::create_user))
        .route(Needs("user.read"), routes!(user::get_user))
        .route(Needs("user.write"), routes!(user::change_user, user::delete_user))
        .route(Needs("user.write"), routes!(user::reset_password))
        .route(Needs("user.write"), routes!(user::unlock_user))
        .route(Needs("user.write"), routes!(user::reset_two_factor))
        .route(Needs("user.read"), routes!(user_access::list_user_sessions))
        .route(Needs("user.write"), routes!(user_access::end_user_sessions))
        .route(Needs("user.read"), routes!(user_access::list_grants))
        .route(Needs("grant.write"), routes!(user_access::create_grant))
        .route(Needs("grant.write"), routes!(user_access::delete_grant))
        .route(Needs("user.read"), routes!(user_access::get_access))
        .route(Needs("user.read"), routes!(user_access::get_why))
        .route(Needs("role.read"), routes!(role::list_roles))
        .route(Needs("role.write"), routes!(role::create_role))
        .route(Needs("role.read"), routes!(role::get_role))
        .route(Needs("role.write"), routes!(role::change_role, role::delete_role))
        .route(Login, routes!(role::list_permissions))
        .route(Needs("role.read"), routes!(role::list_holders))
        .route(Needs("group.read"), routes!(group::list_groups))
        .route(Needs("group.write"), routes!(group::create_group))
        .route(Needs("group.read"), routes!(group::get_group))
        .route(
            Needs("group.write"),
            routes!(group::change_group, group::delete_group),
        )
        .route(Needs("group.read"), routes!(group_member::list_members))
        .route(Needs("group.write"), routes!(group_member::change_members))
        .route(Needs("group.read"), routes!(group_member::preview_rule))
        .route(Needs("audit.read"), routes!(audit::list_audit))
        .route(Needs("audit.read"), routes!(audit::export_audit))
}

/// Everything that the address serves. The layers run from the last to the first.
pub(crate) fn build(app: App, requests: Requests) -> Router {
    let (api, _) = api().split_for_parts();
    api.merge(docs::routes())
        .route("/api", routing::any(not_found))
        .route("/api/{*rest}", routing::any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(never_stored))
        .fallback(assets::serve)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(refuse_big_bodies))
        .layer(from_fn(end_in_time))
        .layer(from_fn_with_state(app.clone(), limit))
        .layer(from_fn(error::localise))
        .layer(from_fn(assets::secure))
        .layer(
            CompressionLayer::new()
                .compress_when(DefaultPredicate::new().and(NotForContentType::const_new(PARQUET))),
        )
        .layer(Extension(app.clone()))
        .layer(from_fn_with_state(requests, observe::observe))
        .with_state(app)
}

async fn not_found() -> ApiError {
    ApiError::NotFound
}

async fn method_not_allowed() -> ApiError {
    ApiError::Method
}

/// Answers of the API are true at their moment only.
async fn never_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Counts the request against its address's allowance.
async fn limit(
    State(app): State<App>,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    app.auth.limits.request(visitor.address)?;
    Ok(next.run(request).await)
}

/// A body that says how long it is need not be read to be refused, not even where none is asked for.
async fn refuse_big_bodies(headers: HeaderMap, request: Request, next: Next) -> Result<Response, ApiError> {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    match length {
        Some(length) if length > MAX_BODY_BYTES => Err(ApiError::BodyTooLarge {
            limit: MAX_BODY_BYTES,
        }),
        _ => Ok(next.run(request).await),
    }
}

/// Nobody waits for ever. What has begun in the database is undone there, because its transaction is dropped.
async fn end_in_time(request: Request, next: Next) -> Result<Response, ApiError> {
    tokio::time::timeout(DEADLINE, next.run(request))
        .await
        .map_err(|_| ApiError::Timeout)
}
