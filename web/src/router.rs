//! Every route, with what happens around each request.

use crate::api::{agent, document, gap, host, live, metric, overview, series, system, vm};
use crate::error::{self, ApiError};
use crate::observe::{self, Requests};
use crate::openapi::Base;
use crate::state::App;
use crate::{assets, guard};
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::{Router, routing};
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where the API lives.
const API: &str = "/api/v1";

/// The documented routes: a route is in the document because it is served.
pub(crate) fn api() -> OpenApiRouter<App> {
    let resources = OpenApiRouter::new()
        .routes(routes!(overview::get_overview))
        .routes(routes!(host::list_hosts))
        .routes(routes!(host::get_host))
        .routes(routes!(vm::list_vms))
        .routes(routes!(vm::get_vm))
        .routes(routes!(metric::list_metrics))
        .routes(routes!(series::get_series))
        .routes(routes!(gap::list_gaps))
        .routes(routes!(system::get_system))
        .routes(routes!(agent::list_agents))
        .routes(routes!(live::open_live))
        .routes(routes!(document::get_openapi));
    OpenApiRouter::with_openapi(Base::openapi()).nest(API, resources)
}

/// Everything that the address serves. The layers run from the last to the first.
pub(crate) fn build(app: App, requests: Requests) -> Router {
    let (api, _) = api().split_for_parts();
    api.route("/api", routing::any(not_found))
        .route("/api/{*rest}", routing::any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(never_stored))
        .fallback(assets::serve)
        .layer(from_fn(guard::refuse_foreign_hosts))
        .layer(from_fn(error::localise))
        .layer(from_fn(assets::secure))
        .layer(CompressionLayer::new())
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
