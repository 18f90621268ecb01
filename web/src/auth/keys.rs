//! The keys that sign access tokens.
//!
//! The private halves are sealed in the vault, the public ones are in the database for everybody. The active key signs; others verify
//! what they have signed until that has expired. Keys are rotated when the active one is old ([`Keys::rotate_if_old`]), or at once by
//! `vmscope-collector key rotate-signing`; nobody is logged out by it. A key that is removed signs and verifies nothing any more.
//!
//! What was read is good for [`FRESH_FOR`]; a token of an unknown key makes this server look again, once in [`LOOK_AGAIN`], because
//! another server may have made it a moment ago.

use super::jwt::{self, Claims};
use crate::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use uuid::Uuid;
use vmscope_store::Store;
use vmscope_store::audit::{Actor, Context};
use vmscope_store::signing_key::{self, NewKey, SigningKey};
use vmscope_vault::{Vault, Zeroizing};

/// How long an access token is good, in seconds.
pub(crate) const ACCESS_S: u64 = 15 * 60;
/// How long what was read is good.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// How often unknown keys make this server look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What the private halves are sealed as.
const PURPOSE: &str = "jwt";
const BITS: usize = 2048;
/// How old a key may become that signs, in seconds: 30 days.
const ROTATED_AFTER_S: i64 = 30 * 86_400;
/// How long a key verifies that signs no more, in seconds: what it signed last, on a server that did not know yet, has expired then.
const OVERLAP_S: i64 = 20 * 60;

/// The keys, as they were read last.
#[derive(Debug)]
pub(crate) struct Keys {
    store: Store,
    vault: Vault,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    read_at: Option<Instant>,
    verifying: HashMap<String, Arc<DecodingKey>>,
    public: Vec<Json>,
    active: Option<Active>,
}

#[derive(Clone)]
struct Active {
    kid: String,
    /// PKCS #1, DER.
    private: Arc<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys in `store`, whose private halves `vault` opens.
    pub(crate) fn new(store: Store, vault: Vault) -> Self {
        jwt::prepare();
        Self {
            store,
            vault,
            known: Mutex::default(),
        }
    }

    /// Signs; makes the first key when there is none.
    ///
    /// # Errors
    /// When the database or the vault fails.
    pub(crate) async fn sign(&self, claims: &Claims) -> Result<String, ApiError> {
        let active = self.active().await?;
        jwt::sign(claims, &active.kid, &active.private).map_err(|error| {
            tracing::error!(%error, signing_key.kid = active.kid, "an access token can't be signed");
            ApiError::Internal
        })
    }

    /// What the token says, if one of our keys has signed it and it has not expired.
    ///
    /// # Errors
    /// [`ApiError::NotLoggedIn`], or the database's failures.
    pub(crate) async fn verify(&self, token: &str) -> Result<Claims, ApiError> {
        let kid = jwt::kid(token).ok_or(ApiError::NotLoggedIn)?;
        let key = self.find(&kid).await?.ok_or(ApiError::NotLoggedIn)?;
        jwt::verify(token, &key).map_err(|_| ApiError::NotLoggedIn)
    }

    /// The public halves, as JSON Web Keys.
    ///
    /// # Errors
    /// The database's failures.
    pub(crate) async fn public(&self) -> Result<Vec<Json>, ApiError> {
        let mut known = self.known.lock().await;
        self.refresh(&mut known, FRESH_FOR).await?;
        Ok(known.public.clone())
    }

    async fn find(&self, kid: &str) -> Result<Option<Arc<DecodingKey>>, ApiError> {
        let mut known = self.known.lock().await;
        self.refresh(&mut known, FRESH_FOR).await?;
        if !known.verifying.contains_key(kid) {
            self.refresh(&mut known, LOOK_AGAIN).await?;
        }
        Ok(known.verifying.get(kid).cloned())
    }

    /// Nothing, when signing is possible.
    ///
    /// # Errors
    /// When the database or the vault fails.
    pub(crate) async fn ready(&self) -> Result<(), ApiError> {
        self.active().await.map(drop)
    }

    /// The key that signs. It is asked for each time: what a key signs that was removed, nobody takes.
    async fn active(&self) -> Result<Active, ApiError> {
        let mut found = self.signing().await?;
        if found.is_none() {
            self.make(None).await?;
            found = self.signing().await?;
        }
        let found = found.ok_or(ApiError::Internal)?;
        let mut known = self.known.lock().await;
        if let Some(open) = known.active.as_ref().filter(|open| open.kid == found.kid) {
            return Ok(open.clone());
        }
        let private = self.vault.get(found.secret, PURPOSE, &found.kid).await?;
        let open = Active {
            kid: found.kid,
            private: Arc::new(private),
        };
        known.active = Some(open.clone());
        Ok(open)
    }

    async fn signing(&self) -> Result<Option<SigningKey>, ApiError> {
        let keys = signing_key::list(&self.store).await?;
        Ok(keys.into_iter().find(|key| key.retires_at.is_none()))
    }

    /// Makes another key sign when the present one is old; says whether it did.
    ///
    /// # Errors
    /// When the database or the vault fails.
    pub(crate) async fn rotate_if_old(&self) -> Result<bool, ApiError> {
        let Some(active) = self.signing().await? else {
            return Ok(false);
        };
        let age_s = Timestamp::now().duration_since(active.created_at).as_secs();
        if age_s < ROTATED_AFTER_S {
            return Ok(false);
        }
        self.make(Some(&active.kid)).await
    }

    /// Reads the public halves again if that was longer ago than `age`.
    async fn refresh(&self, known: &mut Known, age: Duration) -> Result<(), ApiError> {
        if known.read_at.is_some_and(|at| at.elapsed() < age) {
            return Ok(());
        }
        let keys = signing_key::list(&self.store).await?;
        known.read_at = Some(Instant::now());
        known.public = keys
            .iter()
            .filter_map(|key| serde_json::from_str(&key.public_jwk).ok())
            .collect();
        known.verifying = known
            .public
            .iter()
            .filter_map(|jwk| Some((jwk["kid"].as_str()?.to_owned(), Arc::new(decoding_key(jwk)?))))
            .collect();
        Ok(())
    }

    /// Makes a key sign in the place of another one; `false` when somebody was faster.
    async fn make(&self, replacing: Option<&str>) -> Result<bool, ApiError> {
        let kid = Uuid::new_v4().to_string();
        let pair = generate().await?;
        let secret = self.vault.put(PURPOSE, &kid, &pair.private).await?;
        let jwk = json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": pair.modulus, "e": pair.exponent,
        });
        let context = Context {
            actor: Actor::System {
                name: "vmscope-web".to_owned(),
            },
            remote: String::new(),
            request_id: String::new(),
        };
        let new = NewKey {
            kid: &kid,
            public_jwk: &jwk.to_string(),
            secret,
        };
        let made = signing_key::activate(&self.store, &context, &new, replacing, OVERLAP_S).await;
        if !matches!(made, Ok(true)) {
            // Nobody refers to it; should this fail, too, it does no harm.
            let _ = self.vault.remove(secret).await;
        }
        Ok(made?)
    }
}

struct Pair {
    private: Zeroizing<Vec<u8>>,
    modulus: String,
    exponent: String,
}

/// Takes a good part of a second of a core.
async fn generate() -> Result<Pair, ApiError> {
    let made = tokio::task::spawn_blocking(|| {
        let key = rsa::PrivateKey::new(&mut rand::rng(), BITS).ok()?;
        let private = Zeroizing::new(key.to_pkcs1_der().ok()?.as_bytes().to_vec());
        Some(Pair {
            private,
            modulus: URL_SAFE_NO_PAD.encode(key.n_bytes()),
            exponent: URL_SAFE_NO_PAD.encode(key.e_bytes()),
        })
    });
    made.await.ok().flatten().ok_or_else(|| {
        tracing::error!("a signing key can't be made");
        ApiError::Internal
    })
}

fn decoding_key(jwk: &Json) -> Option<DecodingKey> {
    DecodingKey::from_rsa_components(jwk["n"].as_str()?, jwk["e"].as_str()?).ok()
}
