//! The API's description, made from the code of the handlers.

use crate::error::Problem;
use crate::live::protocol::{ClientMessage, ServerMessage};
use crate::router;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// Title, texts and the schemas that no REST endpoint mentions.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "vmscope",
        description = "Hosts and virtual machines, their history and their live samples. Every answer is an envelope with \
                       a stable `code` (0 is success); times are RFC 3339 in UTC, ids are opaque strings."
    ),
    components(schemas(ClientMessage, Problem, ServerMessage)),
    modifiers(&Security),
    security(("bearer" = []), ("cookie" = []))
)]
pub(crate) struct Base;

/// How callers prove who they are.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An access token, or an API token (`vmst_...`)."))
            .build();
        let cookie = ApiKeyValue::with_description(
            "vmscope_access",
            "What a login with `cookies` puts into a browser; changes need the cookie `vmscope_csrf` as header `X-CSRF-Token`, too.",
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The OpenAPI 3.1 document of this build as JSON, with a line end: the text of `web/openapi.json`.
///
/// # Errors
/// None in practice: the document has string keys only.
pub fn json() -> Result<String, serde_json::Error> {
    router::api()
        .into_openapi()
        .to_pretty_json()
        .map(|text| text + "\n")
}
