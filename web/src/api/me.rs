//! The caller's own account.

use crate::api::account::{self, Tongue};
use crate::api::extract::{Body, Nothing, Params};
use crate::api::rights::ScopeNames;
use crate::api::scope::Scope;
use crate::api::user::present;
use crate::api::{Empty, Envelope};
use crate::auth::{Caller, login};
use crate::error::{ApiError, Fault, Fields, Problem};
use crate::state::App;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use vmscope_model::access::{self, Effective};
use vmscope_store::access::Authority;
use vmscope_store::{grant, user};

/// Who is logged in, and what he may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// Id.
    pub id: Uuid,
    /// Name to log in with.
    #[schema(example = "ada")]
    pub name: String,
    /// E-mail address.
    #[schema(required)]
    pub email: Option<String>,
    /// What the user wants to be called; empty for the name.
    pub display_name: String,
    /// Language of the dashboard.
    pub language: Tongue,
    /// A second factor is asked for at each login.
    pub two_factor: bool,
    /// Nothing else is possible before the password is changed.
    pub must_change_password: bool,
    /// What the user may do, and where. Where denials of other grants meet it, it is less.
    pub permissions: Vec<HeldPermission>,
    /// The session; null for an API token.
    #[schema(required)]
    pub session_id: Option<Uuid>,
}

/// A permission that somebody has.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldPermission {
    /// Its name.
    #[schema(example = "vm.read")]
    pub permission: String,
    /// Where.
    pub scope: Scope,
}

/// What is to be different; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "left alone, taken away, or set")]
pub struct MeChange {
    /// What the user wants to be called.
    #[schema(max_length = 128, nullable = false, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    #[serde(default)]
    display_name: Option<String>,
    /// E-mail address; null or empty for none.
    #[schema(max_length = 254, value_type = Option<String>, example = "ada@example.com")]
    #[serde(default, deserialize_with = "present")]
    email: Option<Option<String>>,
    /// Language of the dashboard.
    #[schema(nullable = false)]
    #[serde(default)]
    language: Option<Tongue>,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present password.
    #[schema(min_length = 1, max_length = 256, format = "password")]
    current: String,
    /// The new one: from 12 to 256 characters, below 16 of three kinds, without the user's name, none of the most frequent.
    #[schema(min_length = 12, max_length = 256, format = "password")]
    new: String,
}

/// The user as `/auth/me` shows him, with the rights of all his grants.
pub(crate) async fn describe(app: &App, id: Uuid, session: Option<Uuid>) -> Result<Me, ApiError> {
    let rights = grant::effective(&app.store, id).await?;
    with_rights(app, id, session, &rights).await
}

async fn with_rights(
    app: &App,
    id: Uuid,
    session_id: Option<Uuid>,
    rights: &Effective,
) -> Result<Me, ApiError> {
    let user = user::get(&app.store, id).await?.ok_or(ApiError::NotLoggedIn)?;
    Ok(Me {
        id,
        name: user.name,
        email: user.email,
        display_name: user.display_name,
        language: Tongue::of(&user.language),
        two_factor: user.two_factor,
        must_change_password: user.must_change_password,
        permissions: held(app, rights).await?,
        session_id,
    })
}

async fn held(app: &App, rights: &Effective) -> Result<Vec<HeldPermission>, ApiError> {
    let held = rights.held();
    let names = ScopeNames::of(&app.store, held.iter().map(|held| held.scope)).await?;
    let with_name = |held: access::Held| HeldPermission {
        permission: held.permission.to_string(),
        scope: names.scope(held.scope),
    };
    Ok(held.into_iter().map(with_name).collect())
}

/// Who is logged in, and what he may do.
#[utoipa::path(get, path = "/auth/me", tag = "auth",
    responses((status = 200, description = "The caller", body = Envelope<Me>)))]
pub(crate) async fn get_me(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Me>, ApiError> {
    let me = with_rights(&app, caller.user(), caller.session(), caller.rights()).await?;
    Ok(Envelope::ok(me))
}

/// Changes the caller's own account.
#[utoipa::path(patch, path = "/auth/me", tag = "auth", request_body = MeChange,
    responses((status = 200, description = "The caller", body = Envelope<Me>),
        (status = 409, description = "40900 somebody has the address", body = Problem)))]
pub(crate) async fn change_me(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
    Body(change): Body<MeChange>,
) -> Result<Envelope<Me>, ApiError> {
    let session = caller.in_person()?;
    let mut fields = Fields::default();
    let wish = change.email.map(Option::unwrap_or_default);
    let email = account::email(&mut fields, wish.as_deref());
    let display_name = change.display_name.map(|name| name.trim().to_owned());
    fields.text(
        "display_name",
        display_name.as_deref().unwrap_or_default(),
        0,
        account::MAX_DISPLAY_NAME,
    );
    fields.check()?;
    let changes = user::Changes {
        name: None,
        email,
        display_name,
        language: change.language.map(|language| language.tag().to_owned()),
        disabled: None,
    };
    user::update(
        &app.store,
        &caller.context(),
        Authority::Own,
        caller.user(),
        &changes,
    )
    .await?;
    Ok(Envelope::ok(describe(&app, caller.user(), Some(session)).await?))
}

/// Changes the caller's own password. His other sessions end.
#[utoipa::path(post, path = "/auth/password", tag = "auth", request_body = PasswordChange,
    responses((status = 200, description = "It is changed", body = Envelope<Empty>),
        (status = 429, description = "42900 too many requests, 42901 locked", body = Problem)))]
pub(crate) async fn change_password(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
    Body(change): Body<PasswordChange>,
) -> Result<Envelope<Empty>, ApiError> {
    let session = caller.in_person()?;
    login::prove(&app, &caller, "current", change.current.clone()).await?;
    let mut fields = Fields::default();
    account::check_password(&mut fields, "new", &change.new, caller.name());
    fields.require(change.new != change.current, "new", Fault::PasswordSame);
    fields.check()?;
    let hash = app.auth.hasher.hash(change.new).await?;
    let new = user::NewPassword {
        hash: &hash,
        must_change: false,
        keep_session: Some(session),
    };
    user::set_password(&app.store, &caller.context(), Authority::Own, caller.user(), new).await?;
    Ok(Envelope::ok(Empty))
}
