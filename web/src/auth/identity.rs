//! What it takes to know whoever asks.

use super::hasher::Hasher;
use super::keys::Keys;
use super::{Caller, Holder, Meter, Proof, Sessions, Visitor, secret};
use crate::error::ApiError;
use crate::limit::{self, Limits};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;
use vmscope_store::{Store, grant, login, token, user};
use vmscope_vault::Vault;

/// How an API token begins.
const TOKEN_PREFIX: &str = "vmst_";

/// What this server knows of those who are logged in, and how it tells them from others.
#[derive(Debug)]
pub(crate) struct Auth {
    /// Sessions and tokens in use.
    pub(crate) sessions: Sessions,
    /// How often addresses may ask.
    pub(crate) limits: Limits,
    /// Hashes passwords.
    pub(crate) hasher: Hasher,
    /// Signs and verifies access tokens.
    pub(crate) keys: Keys,
    /// The secrets of second factors.
    pub(crate) vault: Vault,
    /// Browsers send cookies over TLS only.
    pub(crate) secure_cookies: bool,
    /// What checks cost.
    pub(super) meter: Meter,
}

impl Auth {
    /// Nobody is known yet.
    pub(crate) fn new(
        limits: &limit::Config,
        store: &Store,
        vault: Vault,
        secure_cookies: bool,
        meter: Meter,
    ) -> Self {
        Self {
            sessions: Sessions::default(),
            limits: Limits::new(limits),
            hasher: Hasher::default(),
            keys: Keys::new(store.clone(), vault.clone()),
            vault,
            secure_cookies,
            meter,
        }
    }

    /// Removes a sealed secret that nobody refers to any more. What is left behind does no harm, and is told to the log.
    pub(crate) async fn forget_secret(&self, secret: Option<Uuid>) {
        let Some(id) = secret else {
            return;
        };
        if let Err(error) = self.vault.remove(id).await {
            let error = format!("{:#}", anyhow::Error::from(error));
            tracing::warn!(error, secret.id = %id, "a secret that is no longer needed could not be removed");
        }
    }

    /// Whose bearer token this is: an API token or an access token.
    ///
    /// # Errors
    /// [`ApiError::NotLoggedIn`], or the database's failures.
    pub(super) async fn holder(
        &self,
        store: &Store,
        visitor: &Visitor,
        bearer: &str,
    ) -> Result<Arc<Holder>, ApiError> {
        match bearer.strip_prefix(TOKEN_PREFIX) {
            Some(rest) => self.token_holder(store, visitor, rest).await,
            None => self.session_holder(store, bearer).await,
        }
    }

    /// Whose access token this is, while its session lasts.
    ///
    /// # Errors
    /// [`ApiError::NotLoggedIn`], or the database's failures.
    pub(super) async fn session_holder(&self, store: &Store, access: &str) -> Result<Arc<Holder>, ApiError> {
        let claims = self.keys.verify(access).await?;
        let holder = self.session(store, claims.sid).await?;
        Some(holder)
            .filter(|holder| holder.user == claims.sub)
            .ok_or(ApiError::NotLoggedIn)
    }

    /// Whose session this is, while it lasts.
    async fn session(&self, store: &Store, id: Uuid) -> Result<Arc<Holder>, ApiError> {
        if let Some(holder) = self.sessions.find(id) {
            return Ok(holder);
        }
        let since = Instant::now();
        let user = login::holder(store, id).await?.ok_or(ApiError::NotLoggedIn)?;
        let holder = Arc::new(Holder {
            user: user.id,
            name: user.name,
            must_change_password: user.must_change_password,
            rights: grant::effective(store, user.id).await?,
            proof: Proof::Session(id),
        });
        self.sessions.keep(id, since, &holder);
        Ok(holder)
    }

    /// The same caller with the rights of today, for connections that last.
    ///
    /// # Errors
    /// [`ApiError::NotLoggedIn`] when his session or token is over, or the database's failures.
    pub(crate) async fn again(&self, store: &Store, caller: &Caller) -> Result<Caller, ApiError> {
        let holder = match caller.proof() {
            Proof::Session(id) => self.session(store, *id).await?,
            Proof::Token { id, name } => self.token_again(store, caller.user(), *id, name).await?,
        };
        Ok(Caller::new(holder, caller.visitor().clone()))
    }

    /// Whose API token this is that was shown once, while it is good. Only connections that last ask for the id alone: nothing that
    /// somebody shows leads to what is kept under it.
    async fn token_again(
        &self,
        store: &Store,
        user: Uuid,
        id: Uuid,
        name: &str,
    ) -> Result<Arc<Holder>, ApiError> {
        if let Some(holder) = self.sessions.find(id) {
            return Ok(holder);
        }
        let since = Instant::now();
        let tokens = token::list(store, user).await?;
        let is_good = |token: &&token::Token| {
            token.id == id && token.revoked_at.is_none() && token.expires_at > Timestamp::now()
        };
        let token = tokens.iter().find(is_good).ok_or(ApiError::NotLoggedIn)?;
        let owner = user::get(store, user).await?;
        let owner = owner
            .filter(|owner| owner.disabled_at.is_none())
            .ok_or(ApiError::NotLoggedIn)?;
        let proof = Proof::Token {
            id,
            name: name.to_owned(),
        };
        let holder = Arc::new(cut_down(store, owner.id, owner.name, &token.permissions, proof).await?);
        self.sessions.keep(id, since, &holder);
        Ok(holder)
    }

    /// Whose API token this is: `<id>_<secret>`.
    async fn token_holder(
        &self,
        store: &Store,
        visitor: &Visitor,
        text: &str,
    ) -> Result<Arc<Holder>, ApiError> {
        let (id, key) = text.split_once('_').ok_or(ApiError::NotLoggedIn)?;
        let id: Uuid = id.parse().map_err(|_| ApiError::NotLoggedIn)?;
        // What is kept is kept under the whole of it: knowing the id alone finds nothing.
        let whole = Uuid::from_bytes(first_half(&secret::sha256(text)));
        if let Some(holder) = self.sessions.find(whole) {
            return Ok(holder);
        }
        let since = Instant::now();
        let remote = visitor.address.to_string();
        let shown = token::show(store, id, &secret::sha256(key), &remote).await?;
        let shown = shown.ok_or(ApiError::NotLoggedIn)?;
        let proof = Proof::Token {
            id,
            name: shown.token.name,
        };
        let holder = cut_down(
            store,
            shown.token.user,
            shown.user_name,
            &shown.token.permissions,
            proof,
        )
        .await?;
        let holder = Arc::new(holder);
        self.sessions.keep(whole, since, &holder);
        Ok(holder)
    }
}

/// A token's owner, with no more rights than the token.
async fn cut_down(
    store: &Store,
    user: Uuid,
    name: String,
    permissions: &[String],
    proof: Proof,
) -> Result<Holder, ApiError> {
    let limit = permissions.iter().filter_map(|name| name.parse().ok()).collect();
    Ok(Holder {
        user,
        name,
        must_change_password: false,
        rights: grant::effective(store, user).await?.limited_to(limit),
        proof,
    })
}

/// An API token's text.
pub(crate) fn token_text(id: Uuid, key: &str) -> String {
    format!("{TOKEN_PREFIX}{}_{key}", id.simple())
}

fn first_half(sum: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&sum[..16]);
    half
}
