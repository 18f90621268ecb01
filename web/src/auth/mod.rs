//! Who asks, and whether he may.
//!
//! [`enforce`] stands before every handler. It finds out who asks: by an API token or an access token in `Authorization`, or by
//! the access token in a cookie, in which case a change must come from an own page ([`cookie`], [`crate::guard`]). An access token
//! is verified by its signature alone ([`jwt`], [`keys`]), then its session is looked up, at most [`session::FRESH_FOR`] late
//! ([`session`]). What the route's [`Access`] asks for is checked against the person's rights, and what was denied is entered in the
//! audit trail.
//!
//! Failure: without the database nobody can be told from anybody else, and everything but what is public is unavailable.

pub(crate) mod caller;
pub(crate) mod cookie;
mod hasher;
mod identity;
mod jwt;
mod keys;
pub(crate) mod login;
mod meter;
pub(crate) mod secret;
pub(crate) mod session;
pub(crate) mod totp;
mod upkeep;

pub(crate) use caller::{Caller, Holder, Proof, Visitor};
pub(crate) use identity::{Auth, token_text};
pub(crate) use meter::Meter;
pub(crate) use session::Sessions;
pub(crate) use upkeep::keep_up;

use crate::access::Access;
use crate::error::ApiError;
use crate::guard;
use crate::state::App;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Instant;
use vmscope_store::audit::{self, Context};

/// Lets a request through to its handler if whoever asks may.
pub(crate) async fn enforce(access: Access, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let (Some(app), Some(visitor)) = (parts.extensions.get::<App>(), parts.extensions.get::<Visitor>())
    else {
        tracing::error!("a request lacks what is put into every one");
        return ApiError::Internal.into_response();
    };
    let (app, visitor) = (app.clone(), visitor.clone());
    let what = visitor.what.clone();
    let changes = !parts.method.is_safe();
    let mut context = visitor.context("");
    let began = Instant::now();
    let admitted = match identify(&app, access, visitor, &parts).await {
        Ok(Some(caller)) => {
            context = caller.context();
            let admitted = admit(access, &caller);
            parts.extensions.insert(caller);
            admitted
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if access != Access::Public {
        app.auth.meter.observe(began.elapsed());
    }
    let response = match admitted {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error.into_response(),
    };
    if changes && response.status().is_success() {
        app.auth.sessions.forget();
    }
    if response.status() == StatusCode::FORBIDDEN {
        let error = response.extensions().get::<ApiError>().cloned();
        note_denied(&app, &context, &what, error).await;
    }
    response
}

/// Who asks; nobody on a public route.
async fn identify(
    app: &App,
    access: Access,
    visitor: Visitor,
    parts: &Parts,
) -> Result<Option<Caller>, ApiError> {
    if !parts.method.is_safe() && !guard::is_own_origin(&parts.headers) {
        return Err(ApiError::Foreign);
    }
    if access == Access::Public {
        return Ok(None);
    }
    let proof = parts.headers.get(AUTHORIZATION);
    let holder = match proof {
        Some(proof) => bearer(app, &visitor, proof).await?,
        None => by_cookie(app, &parts.headers).await?,
    };
    if proof.is_none() {
        cookie::require_proof(&parts.method, &parts.headers)?;
    }
    Ok(Some(Caller::new(holder, visitor)))
}

async fn bearer(app: &App, visitor: &Visitor, proof: &HeaderValue) -> Result<Arc<Holder>, ApiError> {
    let proof = proof.to_str().ok().and_then(|proof| proof.split_once(' '));
    let token = proof.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or(ApiError::NotLoggedIn)?;
    app.auth.holder(&app.store, visitor, token.trim()).await
}

async fn by_cookie(app: &App, headers: &HeaderMap) -> Result<Arc<Holder>, ApiError> {
    let token = cookie::access(headers).ok_or(ApiError::NotLoggedIn)?;
    app.auth.session_holder(&app.store, token).await
}

fn admit(access: Access, caller: &Caller) -> Result<(), ApiError> {
    if caller.must_change_password() && access != Access::OwnPassword {
        return Err(ApiError::MustChangePassword);
    }
    match access {
        Access::Needs(permission) => caller.reach(permission).map(drop),
        Access::Public | Access::Login | Access::OwnPassword => Ok(()),
    }
}

/// Enters what was denied in the audit trail.
async fn note_denied(app: &App, context: &Context, what: &str, error: Option<ApiError>) {
    let Some(error) = error else {
        return;
    };
    let lacking = match &error {
        ApiError::Forbidden { permission } => permission.as_str(),
        _ => "",
    };
    let entry = audit::Entry::denied("access.denied", error.code()).on("route", what, lacking);
    if let Err(error) = audit::record(&app.store, context, &entry).await {
        let error = format!("{:#}", anyhow::Error::from(error));
        tracing::error!(
            error,
            http.route = what,
            "a denied attempt could not be entered in the audit trail"
        );
    }
}
