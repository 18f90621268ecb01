//! The public halves of the keys that sign access tokens, for programs that verify them themselves.

use crate::api::extract::{Nothing, Params};
use crate::error::ApiError;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A JSON Web Key Set (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwks {
    /// The keys.
    #[schema(value_type = Vec<Object>)]
    pub keys: Vec<Value>,
}

/// The keys that verify access tokens, as a JSON Web Key Set: no envelope around it.
#[utoipa::path(get, path = "/auth/jwks", tag = "auth", responses((status = 200, description = "The keys", body = Jwks)))]
pub(crate) async fn get_jwks(
    State(app): State<App>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Json<Jwks>, ApiError> {
    let keys = app.auth.keys.public().await?;
    Ok(Json(Jwks { keys }))
}

/// The same, where programs look for it.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth",
    responses((status = 200, description = "The keys", body = Jwks)))]
pub(crate) async fn get_well_known_jwks(
    app: State<App>,
    params: Params<Nothing>,
) -> Result<Json<Jwks>, ApiError> {
    get_jwks(app, params).await
}
