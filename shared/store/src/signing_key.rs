//! The keys that sign access tokens: public halves here, private ones sealed in the table `secret`.
//!
//! One key signs; those before it verify until the last token that they signed has expired.

use crate::access::{Change, Failure};
use crate::audit::{self, Context};
use crate::{Error, Store};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// A key that signs or verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in tokens.
    pub kid: String,
    /// Its public half: a JSON Web Key, as text.
    pub public_jwk: String,
    /// Its private half, in the table `secret`.
    pub secret: Uuid,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it verifies no more; none for the one that signs.
    pub retires_at: Option<Timestamp>,
}

/// The keys that sign or verify now, the one that signs first.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store) -> Result<Vec<SigningKey>, Error> {
    const LIST_SIGNING_KEYS: &str = "\
-- list_signing_keys
SELECT kid, public_jwk::text AS public_jwk, secret, created_at, retires_at FROM signing_key WHERE removed_at IS NULL AND (retires_at IS NULL OR retires_at > now())
ORDER BY retires_at DESC NULLS FIRST";
    let rows = store
        .get()
        .await?
        .query(LIST_SIGNING_KEYS, &[])
        .await
        .map_err(Error::statement("list_signing_keys"))?;
    Ok(rows.iter().map(key).collect())
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey<'a> {
    /// Its name in tokens.
    pub kid: &'a str,
    /// Its public half: a JSON Web Key, as text.
    pub public_jwk: &'a str,
    /// Its private half, in the table `secret`.
    pub secret: Uuid,
}

/// Makes a key the one that signs, in the place of `replacing`, which verifies for `overlap_s` seconds more. Does nothing and returns
/// `false` when another one signs: somebody was faster.
///
/// # Errors
/// The database's failures.
pub async fn activate(
    store: &Store,
    context: &Context,
    new: &NewKey<'_>,
    replacing: Option<&str>,
    overlap_s: i64,
) -> Result<bool, Failure> {
    const ACTIVE_KEY: &str = "\
-- active_key
SELECT kid FROM signing_key WHERE retires_at IS NULL AND removed_at IS NULL";
    const RETIRE_KEY: &str = "\
-- retire_signing_key
UPDATE signing_key SET retires_at = now() + make_interval(secs => $1::int8::float8) WHERE retires_at IS NULL";
    const ADD_KEY: &str = "\
-- add_signing_key
INSERT INTO signing_key (kid, public_jwk, secret) VALUES ($1, $2::text::jsonb, $3)";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let transaction = &change.transaction;
    let active = transaction
        .query_opt(ACTIVE_KEY, &[])
        .await
        .map_err(Error::statement("active_key"))?;
    let active: Option<String> = active.map(|row| row.get(0));
    if active.as_deref() != replacing {
        return Ok(false);
    }
    transaction
        .execute(RETIRE_KEY, &[&overlap_s])
        .await
        .map_err(Error::statement("retire_signing_key"))?;
    transaction
        .execute(ADD_KEY, &[&new.kid, &new.public_jwk, &new.secret])
        .await
        .map_err(Error::statement("add_signing_key"))?;
    let entry = audit::Entry::done("signing_key.activate").on("signing_key", new.kid, "");
    change.commit(&entry).await?;
    Ok(true)
}

/// Lets the key that signs verify for `overlap_s` seconds more and sign nothing, so that the next token makes a new one; gives its
/// name, `None` when none signs.
///
/// # Errors
/// The database's failures.
pub async fn retire(store: &Store, context: &Context, overlap_s: i64) -> Result<Option<String>, Failure> {
    const RETIRE_ACTIVE: &str = "\
-- retire_active_signing_key
UPDATE signing_key SET retires_at = now() + make_interval(secs => $1::int8::float8)
WHERE retires_at IS NULL AND removed_at IS NULL RETURNING kid";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let row = change
        .transaction
        .query_opt(RETIRE_ACTIVE, &[&overlap_s])
        .await
        .map_err(Error::statement("retire_active_signing_key"))?;
    let Some(kid) = row.map(|row| row.get::<_, String>(0)) else {
        return Ok(None);
    };
    let entry = audit::Entry::done("signing_key.retire").on("signing_key", &kid, "");
    change.commit(&entry).await?;
    Ok(Some(kid))
}

/// Makes a key verify nothing from now on: it is known to others. Gives its sealed half, which is to be removed; `None` when there is
/// no such key. The next token makes a new one if it was the one that signs.
///
/// # Errors
/// The database's failures.
pub async fn remove(store: &Store, context: &Context, kid: &str) -> Result<Option<Uuid>, Failure> {
    const REMOVE_KEY: &str = "\
-- remove_signing_key
UPDATE signing_key SET removed_at = now(), retires_at = least(retires_at, now())
WHERE kid = $1 AND removed_at IS NULL RETURNING secret";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let row = change
        .transaction
        .query_opt(REMOVE_KEY, &[&kid])
        .await
        .map_err(Error::statement("remove_signing_key"))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let entry = audit::Entry::done("signing_key.remove").on("signing_key", kid, "");
    change.commit(&entry).await?;
    Ok(Some(row.get(0)))
}

/// Forgets the keys that verify no more; gives their sealed halves, which are to be removed.
///
/// # Errors
/// The database's failures.
pub async fn sweep(store: &Store) -> Result<Vec<Uuid>, Error> {
    const SWEEP_KEYS: &str = "\
-- sweep_signing_keys
DELETE FROM signing_key WHERE retires_at < now() - interval '1 day' RETURNING secret";
    let rows = store
        .get()
        .await?
        .query(SWEEP_KEYS, &[])
        .await
        .map_err(Error::statement("sweep_signing_keys"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn key(row: &Row) -> SigningKey {
    SigningKey {
        kid: row.get("kid"),
        public_jwk: row.get("public_jwk"),
        secret: row.get("secret"),
        created_at: row.get("created_at"),
        retires_at: row.get("retires_at"),
    }
}
