//! The caller's own sessions.

use crate::api::extract::{Id, Nothing, Params};
use crate::api::user_access::Items;
use crate::api::{Empty, Envelope};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use vmscope_store::login;

/// A session that lasts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub last_used_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
    /// From which address it was last refreshed.
    #[schema(example = "192.0.2.7")]
    pub remote: String,
    /// With which browser or program it began, as that says.
    pub user_agent: String,
    /// It is the one that asks.
    pub current: bool,
}

impl Session {
    /// `session`, seen from the session `asking`.
    pub(crate) fn of(session: login::Session, asking: Option<Uuid>) -> Self {
        Self {
            current: asking == Some(session.id),
            id: session.id,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            remote: session.remote,
            user_agent: session.user_agent,
        }
    }
}

/// Where the caller is logged in.
#[utoipa::path(get, path = "/auth/sessions", tag = "auth",
    responses((status = 200, description = "The sessions, the one that was used last first", body = Envelope<Items<Session>>)))]
pub(crate) async fn list_sessions(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Items<Session>>, ApiError> {
    let asking = caller.session();
    let sessions = login::sessions(&app.store, caller.user()).await?;
    let items = sessions
        .into_iter()
        .map(|session| Session::of(session, asking))
        .collect();
    Ok(Envelope::ok(Items { items }))
}

/// Ends one of the caller's sessions.
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "auth", params(("id" = Uuid, Path, description = "The session")),
    responses((status = 200, description = "It is over", body = Envelope<Empty>)))]
pub(crate) async fn end_session(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    caller.in_person()?;
    login::end(&app.store, &caller.context(), caller.user(), id).await?;
    Ok(Envelope::ok(Empty))
}
