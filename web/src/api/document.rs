//! The description of the API, served by itself.

use crate::error::ApiError;
use crate::openapi;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// This document: OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "document",
    responses((status = 200, description = "The document", body = Object, content_type = "application/json")))]
pub(crate) async fn get_openapi() -> Result<Response, ApiError> {
    let document = openapi::json().map_err(|error| {
        tracing::error!(%error, "api description can't be written");
        ApiError::Internal
    })?;
    Ok(([(CONTENT_TYPE, "application/json")], document).into_response())
}
