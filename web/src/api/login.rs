//! Logging in, staying logged in, and logging out.

use crate::api::extract::{Body, Nothing, Params};
use crate::api::me::{self, Me};
use crate::api::{Empty, Envelope};
use crate::auth::login::{self, Granted};
use crate::auth::{Caller, Visitor, cookie};
use crate::error::{ApiError, Fields, Problem};
use crate::state::App;
use axum::extract::State;
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest name or address to log in with, in characters.
const MAX_LOGIN: usize = 254;
/// Longest password, in characters.
const MAX_PASSWORD: usize = 256;
/// Longest code of a second factor, in characters.
const MAX_CODE: usize = 32;

/// Who wants in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// User name or e-mail address.
    #[schema(
        min_length = 1,
        max_length = 254,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
        example = "ada"
    )]
    login: String,
    /// Password.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\x00]*$",
        format = "password"
    )]
    password: String,
    /// Code of the authenticator, or a recovery code, when the account has a second factor.
    #[schema(max_length = 32, pattern = "^[^\\x00]*$", example = "123456")]
    #[serde(default)]
    second_factor: Option<String>,
    /// Puts the tokens into cookies (for browsers) instead of the answer.
    #[serde(default)]
    cookies: bool,
}

/// A session that has begun, or goes on.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoggedIn {
    /// Who is logged in.
    pub user: Me,
    /// To be sent as `Authorization: Bearer`; left out when it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub access_token: Option<String>,
    /// For `/auth/refresh`, once; left out when it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub refresh_token: Option<String>,
    /// How long the access token is good, in seconds.
    pub expires_in_s: u64,
}

/// How to stay logged in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The newest refresh token; left out when it is in a cookie.
    #[schema(max_length = 128, pattern = "^[^\\x00]*$")]
    #[serde(default)]
    refresh_token: Option<String>,
}

/// Begins a session. A wrong name, password or second factor answer the same, after the same time; after five failures
/// with the same name nobody gets in with it for 30 minutes, whether it exists or not.
#[utoipa::path(post, path = "/auth/login", tag = "auth", request_body = LoginRequest,
    responses((status = 200, description = "The session", body = Envelope<LoggedIn>),
        (status = 401, description = "40101 wrong credentials, 40102 second factor needed", body = Problem),
        (status = 429, description = "42900 too many requests, 42901 locked", body = Problem)))]
pub(crate) async fn log_in(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Params(Nothing {}): Params<Nothing>,
    Body(request): Body<LoginRequest>,
) -> Result<Response, ApiError> {
    app.auth.limits.login(visitor.address)?;
    let mut fields = Fields::default();
    fields.text("login", &request.login, 1, MAX_LOGIN);
    fields.length("password", &request.password, 1, MAX_PASSWORD);
    fields.length(
        "second_factor",
        request.second_factor.as_deref().unwrap_or_default(),
        0,
        MAX_CODE,
    );
    fields.check()?;
    let attempt = login::Attempt {
        login: request.login.trim().to_owned(),
        password: request.password,
        second_factor: request.second_factor.filter(|code| !code.trim().is_empty()),
        user_agent: user_agent(&headers),
    };
    let granted = login::log_in(&app, &visitor, attempt).await?;
    answer(&app, granted, request.cookies).await
}

/// Continues a session: each refresh token is good once, and gives the next one. One that is used twice ends the session, for
/// somebody else has it too.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", request_body = RefreshRequest,
    responses((status = 200, description = "The session", body = Envelope<LoggedIn>),
        (status = 401, description = "40103 the session is over", body = Problem),
        (status = 403, description = "40300 request of another site, 40302 CSRF token missing", body = Problem)))]
pub(crate) async fn refresh(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Params(Nothing {}): Params<Nothing>,
    Body(request): Body<RefreshRequest>,
) -> Result<Response, ApiError> {
    app.auth.limits.login(visitor.address)?;
    let cookies = request.refresh_token.is_none();
    let kept = cookie::refresh(&headers).map(str::to_owned);
    let token = request.refresh_token.or(kept).ok_or(ApiError::SessionOver)?;
    if cookies {
        cookie::require_proof(&Method::POST, &headers)?;
    }
    let granted = login::refresh(&app, &visitor, &token).await?;
    answer(&app, granted, cookies).await
}

/// Ends the caller's session.
#[utoipa::path(post, path = "/auth/logout", tag = "auth",
    responses((status = 200, description = "It is over", body = Envelope<Empty>)))]
pub(crate) async fn log_out(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Response, ApiError> {
    login::log_out(&app, &caller).await?;
    let cookies = cookie::SetCookies::remove(app.auth.secure_cookies);
    Ok((cookies, Envelope::ok(Empty)).into_response())
}

async fn answer(app: &App, granted: Granted, cookies: bool) -> Result<Response, ApiError> {
    let user = me::describe(app, granted.user, Some(granted.session)).await?;
    let expires_in_s = granted.access_s;
    if !cookies {
        let body = LoggedIn {
            user,
            access_token: Some(granted.access),
            refresh_token: Some(granted.refresh),
            expires_in_s,
        };
        return Ok(Envelope::ok(body).into_response());
    }
    let csrf = crate::auth::secret::token()?;
    let tokens = cookie::Tokens {
        access: &granted.access,
        access_s: granted.access_s,
        refresh: &granted.refresh,
        refresh_s: granted.refresh_s,
        csrf: &csrf,
    };
    let cookies = cookie::SetCookies::put(&tokens, app.auth.secure_cookies);
    let body = LoggedIn {
        user,
        access_token: None,
        refresh_token: None,
        expires_in_s,
    };
    Ok((cookies, Envelope::ok(body)).into_response())
}

/// What the browser or program calls itself, as far as it is text.
fn user_agent(headers: &HeaderMap) -> String {
    const LONGEST: usize = 200;
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    agent.unwrap_or_default().chars().take(LONGEST).collect()
}
