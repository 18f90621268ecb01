//! The API's description, made from the code of the handlers.

use crate::error::Problem;
use crate::live::protocol::{ClientMessage, ServerMessage};
use crate::router;
use utoipa::OpenApi;

/// Title, texts and the schemas that no REST endpoint mentions.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "vmscope",
        description = "Hosts and virtual machines, their history and their live samples. Every answer is an envelope with \
                       a stable `code` (0 is success); times are RFC 3339 in UTC, ids are opaque strings."
    ),
    components(schemas(ClientMessage, Problem, ServerMessage))
)]
pub(crate) struct Base;

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
