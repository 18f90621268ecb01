//! The caller's own second factor.

use crate::api::extract::{Body, Nothing, Params};
use crate::api::{Empty, Envelope};
use crate::auth::{Caller, login, secret, totp};
use crate::error::{ApiError, Fault, Problem};
use crate::state::App;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vmscope_store::access::Authority;
use vmscope_store::second_factor;

/// Recovery codes that somebody gets.
const RECOVERY_CODES: usize = 10;

/// A secret for an authenticator.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotpSecret {
    /// In base32, to be typed.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    pub secret: String,
    /// To be shown as a QR code.
    #[schema(example = "otpauth://totp/vmscope:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=vmscope")]
    pub uri: String,
}

/// A code of the authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpCode {
    /// Six digits.
    #[schema(min_length = 6, max_length = 16, example = "123456")]
    code: String,
}

/// Proof that it is the user himself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordProof {
    /// The present password.
    #[schema(min_length = 1, max_length = 256, format = "password")]
    password: String,
}

/// Codes for when the authenticator is lost; each is good once. They are not shown again.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// The codes; earlier ones are worth nothing any more.
    #[schema(example = json!(["abcd-efgh-jkmn"]))]
    pub recovery_codes: Vec<String>,
}

/// Begins to set a second factor up: gives a secret, which counts once a code of it was shown (`/auth/totp/confirm`).
#[utoipa::path(post, path = "/auth/totp", tag = "auth",
    responses((status = 200, description = "The secret", body = Envelope<TotpSecret>),
        (status = 409, description = "40901 there is a second factor", body = Problem)))]
pub(crate) async fn begin_totp(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<TotpSecret>, ApiError> {
    caller.in_person()?;
    let plain = secret::random::<{ totp::SECRET_BYTES }>()?;
    let owner = caller.user().to_string();
    let sealed = app.auth.vault.put(login::TOTP_PURPOSE, &owner, &plain).await?;
    match second_factor::begin(&app.store, &caller.context(), caller.user(), sealed).await {
        Ok(before) => app.auth.forget_secret(before).await,
        Err(failure) => {
            app.auth.forget_secret(Some(sealed)).await;
            return Err(failure.into());
        }
    }
    let shown = totp::show(&plain, caller.name())?;
    Ok(Envelope::ok(TotpSecret {
        secret: shown.secret,
        uri: shown.uri,
    }))
}

/// Shows a code of the new authenticator: from now on one is asked for at each login.
#[utoipa::path(post, path = "/auth/totp/confirm", tag = "auth", request_body = TotpCode,
    responses((status = 200, description = "Recovery codes", body = Envelope<RecoveryCodes>),
        (status = 404, description = "40400 nothing was begun", body = Problem),
        (status = 409, description = "40901 there is a second factor", body = Problem)))]
pub(crate) async fn confirm_totp(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
    Body(shown): Body<TotpCode>,
) -> Result<Envelope<RecoveryCodes>, ApiError> {
    caller.in_person()?;
    let user = caller.user();
    let kept = second_factor::get(&app.store, user)
        .await?
        .ok_or(ApiError::NotFound)?;
    if kept.confirmed {
        return Err(ApiError::InUse);
    }
    let plain = app
        .auth
        .vault
        .get(kept.secret, login::TOTP_PURPOSE, &user.to_string())
        .await?;
    let step = totp::step(&plain, &shown.code, Timestamp::now())?;
    let step = step.ok_or_else(|| ApiError::field("code", Fault::Wrong))?;
    let (codes, sums) = recovery_codes()?;
    second_factor::confirm(&app.store, &caller.context(), user, step, &sums).await?;
    Ok(Envelope::ok(codes))
}

/// Gives other recovery codes.
#[utoipa::path(post, path = "/auth/totp/recovery-codes", tag = "auth", request_body = PasswordProof,
    responses((status = 200, description = "The codes", body = Envelope<RecoveryCodes>),
        (status = 404, description = "40400 there is no second factor", body = Problem),
        (status = 429, description = "42900 too many requests, 42901 locked", body = Problem)))]
pub(crate) async fn renew_recovery_codes(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
    Body(proof): Body<PasswordProof>,
) -> Result<Envelope<RecoveryCodes>, ApiError> {
    login::prove(&app, &caller, "password", proof.password).await?;
    let (codes, sums) = recovery_codes()?;
    second_factor::replace_recovery_codes(&app.store, &caller.context(), caller.user(), &sums).await?;
    Ok(Envelope::ok(codes))
}

/// Gives the second factor up.
#[utoipa::path(post, path = "/auth/totp/disable", tag = "auth", request_body = PasswordProof,
    responses((status = 200, description = "No code is asked for any more", body = Envelope<Empty>),
        (status = 429, description = "42900 too many requests, 42901 locked", body = Problem)))]
pub(crate) async fn disable_totp(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
    Body(proof): Body<PasswordProof>,
) -> Result<Envelope<Empty>, ApiError> {
    login::prove(&app, &caller, "password", proof.password).await?;
    let sealed = second_factor::disable(&app.store, &caller.context(), Authority::Own, caller.user()).await?;
    app.auth.forget_secret(sealed).await;
    Ok(Envelope::ok(Empty))
}

/// Codes to be shown, and what is kept of them.
fn recovery_codes() -> Result<(RecoveryCodes, Vec<[u8; 32]>), ApiError> {
    let recovery_codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| secret::recovery_code())
        .collect::<Result<_, _>>()?;
    let sums = recovery_codes
        .iter()
        .map(|code| secret::sha256(&secret::plain_code(code)))
        .collect();
    Ok((RecoveryCodes { recovery_codes }, sums))
}
