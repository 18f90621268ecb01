//! Every route, with what happens around each request.

use crate::api::{host, live, metric, overview, series, vm};
use crate::openapi::Base;
use crate::state::App;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where the API lives.
pub const API: &str = "/api/v1";

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
        .routes(routes!(live::open_live));
    OpenApiRouter::with_openapi(Base::openapi()).nest(API, resources)
}
