//! The WebSocket of live samples.

use crate::auth::Caller;
use crate::error::ApiError;
use crate::guard;
use crate::language::Language;
use crate::live::client;
use crate::live::watch::Watch;
use crate::state::App;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::response::Response;

/// Live samples over a WebSocket.
///
/// After the upgrade both sides send JSON text messages: see the schemas `ClientMessage` and `ServerMessage`. A subscription begins
/// with the last known values (`snapshot`), then every `sample` comes; that of a group follows its members. The server
/// pings every 20 s and drops a client that stays silent for 50 s. A client that reads too slowly gets the latest values of each
/// entity, not all of them. What the caller may not see can't be subscribed; when his rights shrink, the subscription ends and a
/// `subscribed` message says what is left, and when his session ends, so does the connection. Who has lost a connection shows the
/// token of its `hello` within a minute (`resume`) and has its subscriptions again.
#[utoipa::path(get, path = "/live", tag = "live",
    responses((status = 101, description = "The WebSocket is open")))]
pub(crate) async fn open_live(
    State(app): State<App>,
    caller: Caller,
    language: Language,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    if !guard::is_own_origin(&headers) {
        return Err(ApiError::Foreign);
    }
    let upgrade = upgrade.map_err(|_| ApiError::BadRequest)?;
    let mailbox = app.hub.connect().ok_or(ApiError::Full)?;
    Ok(upgrade
        .max_message_size(client::MAX_MESSAGE_BYTES)
        .read_buffer_size(client::READ_BUFFER_BYTES)
        .write_buffer_size(client::WRITE_BUFFER_BYTES)
        .max_write_buffer_size(client::MAX_WRITE_BUFFER_BYTES)
        .on_upgrade(move |socket| client::serve(socket, mailbox, language, Watch::new(app, caller))))
}
