//! Who may call a route is said where the route is defined, and nowhere else.
//!
//! [`Routes`] is the only way to a router, and takes no route without an [`Access`]. From that come the check in front of the
//! handler ([`crate::auth::enforce`]), `x-permission` in the API's description, and there, too, the answers that any such
//! route may give.

use crate::auth;
use crate::state::App;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use serde_json::json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::{Content, Ref, ResponseBuilder, SecurityRequirement};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody.
    Public,
    /// Whoever is logged in.
    Login,
    /// Whoever is logged in, even when nothing else is possible before the password is changed.
    OwnPassword,
    /// Whoever has this permission, for something at least: handlers leave out, or refuse, what is out of his reach.
    Needs(&'static str),
}

impl Access {
    /// As the API's description says it.
    const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Login | Self::OwnPassword => "login",
            Self::Needs(permission) => permission,
        }
    }
}

/// Routes, each with its access.
#[derive(Default)]
pub(crate) struct Routes(OpenApiRouter<App>);

impl Routes {
    /// Adds the methods of a path for those with this access.
    pub(crate) fn route(self, access: Access, routes: UtoipaMethodRouter<App>) -> Self {
        let (schemas, mut paths, methods) = routes;
        describe(&mut paths, access);
        let check = from_fn(move |request: Request, next: Next| auth::enforce(access, request, next));
        let guarded = (schemas, paths, methods).map(|methods| methods.route_layer(check));
        Self(self.0.routes(guarded))
    }

    /// The router.
    pub(crate) fn finish(self) -> OpenApiRouter<App> {
        self.0
    }
}

fn describe(paths: &mut Paths, access: Access) {
    for (path, item) in &mut paths.paths {
        let has_id = path.contains('{');
        for operation in operations(item) {
            let extensions = ExtensionsBuilder::new().add("x-permission", json!(access.name()));
            operation
                .extensions
                .get_or_insert_default()
                .merge(extensions.build());
            if access == Access::Public {
                operation.security = Some(vec![SecurityRequirement::default()]);
            }
            answers(operation, access, has_id);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
}

/// Adds the errors that such a route may answer with; what it says itself stays.
fn answers(operation: &mut Operation, access: Access, has_id: bool) {
    let has_body = operation.request_body.is_some();
    let is_public = access == Access::Public;
    let possible = [
        (
            true,
            "400",
            "40000 bad request, 40001 bad parameter, 40002 body is no JSON, 40003 wrong fields",
        ),
        (!is_public, "401", "40100 not logged in"),
        (
            !is_public || has_body,
            "403",
            "40300 request of another site, 40301 permission missing, 40302 CSRF token missing, 40304 password must be changed first, 40305 not with an API token",
        ),
        (has_id, "404", "40400 not found"),
        (true, "408", "40800 took too long"),
        (has_body, "413", "41301 body too big"),
        (has_body, "415", "41500 body is not said to be JSON"),
        (true, "429", "42900 too many requests"),
        (true, "500", "50000 internal error"),
        (true, "503", "50300 database unavailable"),
    ];
    let responses = &mut operation.responses.responses;
    for (status, description) in possible
        .into_iter()
        .filter_map(|(may, status, text)| may.then_some((status, text)))
    {
        responses.entry(status.to_owned()).or_insert_with(|| {
            ResponseBuilder::new()
                .description(description)
                .content(
                    "application/json",
                    Content::new(Some(Ref::from_schema_name("Problem"))),
                )
                .build()
                .into()
        });
    }
}
