//! The caller's own API tokens: what his programs show instead of his password.

use crate::api::extract::{Body, Id, Nothing, Params};
use crate::api::user_access::Items;
use crate::api::{Empty, Envelope};
use crate::auth::{Caller, secret, token_text};
use crate::error::{ApiError, Fault, Fields};
use crate::state::App;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use vmscope_model::access::Permission;
use vmscope_store::token;

/// Longest life of a token, in days.
const MAX_DAYS: i64 = 366;
/// Most permissions of a token.
const MAX_PERMISSIONS: usize = 100;
/// Longest name, in characters.
const MAX_NAME: usize = 64;

/// An API token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    #[schema(example = "nightly report")]
    pub name: String,
    /// What it is good for, as far as its owner may do it.
    #[schema(example = json!(["vm.read"]))]
    pub permissions: Vec<String>,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to a minute; null before that.
    #[schema(required)]
    pub last_used_at: Option<Timestamp>,
    /// From which address.
    #[schema(required)]
    pub last_used_remote: Option<String>,
    /// Since when it is revoked; null while it is not.
    #[schema(required)]
    pub revoked_at: Option<Timestamp>,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeToken {
    /// The token itself, to be sent as `Authorization: Bearer`. It is not shown again.
    #[schema(example = "vmst_5f0c6d0e6a534c4b9d7e0d4c6a3b8f11_...")]
    pub token: String,
    /// What is known of it.
    #[serde(flatten)]
    pub made: Token,
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name.
    #[schema(min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    name: String,
    /// What it is good for: names out of `/permissions`.
    #[schema(min_items = 1, max_items = 100)]
    permissions: Vec<String>,
    /// When it expires, within 366 days.
    expires_at: Timestamp,
}

impl From<token::Token> for Token {
    fn from(token: token::Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            permissions: token.permissions,
            expires_at: token.expires_at,
            created_at: token.created_at,
            last_used_at: token.last_used_at,
            last_used_remote: token.last_used_remote,
            revoked_at: token.revoked_at,
        }
    }
}

/// The caller's API tokens, those that are expired or revoked too.
#[utoipa::path(get, path = "/auth/tokens", tag = "auth",
    responses((status = 200, description = "The tokens, the newest first", body = Envelope<Items<Token>>)))]
pub(crate) async fn list_tokens(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Items<Token>>, ApiError> {
    let tokens = token::list(&app.store, caller.user()).await?;
    let items = tokens.into_iter().map(Token::from).collect();
    Ok(Envelope::ok(Items { items }))
}

/// Makes an API token. Its rights are its owner's at each moment, cut down to its permissions.
#[utoipa::path(post, path = "/auth/tokens", tag = "auth", request_body = NewToken,
    responses((status = 200, description = "The token", body = Envelope<MadeToken>)))]
pub(crate) async fn create_token(
    State(app): State<App>,
    caller: Caller,
    Params(Nothing {}): Params<Nothing>,
    Body(new): Body<NewToken>,
) -> Result<Envelope<MadeToken>, ApiError> {
    caller.in_person()?;
    let permissions = checked(&new)?;
    let (id, key) = (Uuid::new_v4(), secret::token()?);
    let wanted = token::NewToken {
        id,
        user: caller.user(),
        name: new.name.trim(),
        secret_sha256: &secret::sha256(&key),
        permissions: &permissions,
        expires_at: new.expires_at,
    };
    let made = token::create(&app.store, &caller.context(), &wanted).await?;
    Ok(Envelope::ok(MadeToken {
        token: token_text(id, &key),
        made: made.into(),
    }))
}

/// Revokes one of the caller's API tokens.
#[utoipa::path(delete, path = "/auth/tokens/{id}", tag = "auth", params(("id" = Uuid, Path, description = "The token")),
    responses((status = 200, description = "It is worth nothing any more", body = Envelope<Empty>)))]
pub(crate) async fn revoke_token(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<Uuid>,
    Params(Nothing {}): Params<Nothing>,
) -> Result<Envelope<Empty>, ApiError> {
    caller.in_person()?;
    token::revoke(&app.store, &caller.context(), caller.user(), id).await?;
    Ok(Envelope::ok(Empty))
}

/// The permissions of a token that may be made.
fn checked(new: &NewToken) -> Result<Vec<Permission>, ApiError> {
    let mut fields = Fields::default();
    fields.text("name", &new.name, 1, MAX_NAME);
    fields.require(!new.permissions.is_empty(), "permissions", Fault::TooShort(1));
    let is_short = new.permissions.len() <= MAX_PERMISSIONS;
    fields.require(is_short, "permissions", Fault::TooLong(MAX_PERMISSIONS));
    let mut permissions = Vec::new();
    for (number, name) in (0_usize..).zip(&new.permissions) {
        match Permission::known(name) {
            Some(permission) if permissions.contains(&permission) => {}
            Some(permission) => permissions.push(permission),
            None => fields.refuse(&format!("permissions.{number}"), Fault::UnknownValue),
        }
    }
    let left = new.expires_at.duration_since(Timestamp::now());
    fields.require(left.is_positive(), "expires_at", Fault::Past);
    let is_near = left <= SignedDuration::from_hours(24 * MAX_DAYS);
    fields.require(is_near, "expires_at", Fault::TooFar(MAX_DAYS));
    fields.check()?;
    Ok(permissions)
}
