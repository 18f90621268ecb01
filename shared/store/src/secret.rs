//! Sealed secrets: rows of bytes that only `vmscope-vault` can read.
//!
//! Invariant: nothing is written under a master key that was retired ([`retire_key`]), whoever still holds it. A change says which
//! version it changes, so that of two at the same time one fails and looks again.

use crate::{Error, Store};
use jiff::Timestamp;
use tokio_postgres::{GenericClient, Row, Transaction};
use uuid::Uuid;

/// Held by who retires a master key: nobody writes a secret meanwhile.
const LOCK_KEYS: &str = "\
-- lock_keys
SELECT pg_advisory_xact_lock(hashtextextended('vmscope master keys', 0))";

/// Held by each who writes a secret.
const SHARE_KEYS: &str = "\
-- share_keys
SELECT pg_advisory_xact_lock_shared(hashtextextended('vmscope master keys', 0))";

/// A secret to be written.
#[derive(Debug, Clone)]
pub struct Sealed<'a> {
    /// Its id, chosen by who sealed it: the seal is bound to it.
    pub id: Uuid,
    /// What it is for.
    pub purpose: &'a str,
    /// Whose it is.
    pub owner: &'a str,
    /// Under which master key.
    pub master_key: &'a str,
    /// The sealed bytes.
    pub sealed: &'a [u8],
}

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub purpose: String,
    /// Whose it is.
    pub owner: String,
    /// Under which master key.
    pub master_key: String,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// How often it was written.
    pub version: i32,
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Done,
    /// The master key was retired: nothing is stored.
    RetiredKey,
    /// The secret has another version by now, or is gone: nothing is stored.
    Changed,
}

/// What [`retire_key`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retired {
    /// Nothing is or will be sealed under it.
    Done,
    /// So many secrets are still sealed under it.
    InUse(i64),
}

/// How many secrets are sealed under a master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The key's id.
    pub master_key: String,
    /// Secrets under it.
    pub secrets: i64,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
}

/// Adds a secret.
///
/// # Errors
/// The database's failures.
pub async fn insert(store: &Store, secret: &Sealed<'_>) -> Result<Written, Error> {
    const INSERT_SECRET: &str = "\
-- insert_secret
INSERT INTO secret (id, purpose, owner, master_key, sealed)
SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT FROM retired_master_key WHERE id = $4)";
    let mut client = store.get().await?;
    let transaction = begin(&mut client, SHARE_KEYS).await?;
    let Sealed {
        id,
        purpose,
        owner,
        master_key,
        sealed,
    } = secret;
    let rows = transaction
        .execute(INSERT_SECRET, &[id, purpose, owner, master_key, sealed])
        .await
        .map_err(Error::statement("insert_secret"))?;
    commit(transaction).await?;
    Ok(if rows == 1 {
        Written::Done
    } else {
        Written::RetiredKey
    })
}

/// Writes a secret anew that has `version`.
///
/// # Errors
/// The database's failures.
pub async fn update(store: &Store, secret: &Sealed<'_>, version: i32) -> Result<Written, Error> {
    const UPDATE_SECRET: &str = "\
-- update_secret
UPDATE secret SET master_key = $2, sealed = $3, version = version + 1, updated_at = now()
WHERE id = $1 AND version = $4 AND NOT EXISTS (SELECT FROM retired_master_key WHERE id = $2)";
    let mut client = store.get().await?;
    let transaction = begin(&mut client, SHARE_KEYS).await?;
    let rows = transaction
        .execute(
            UPDATE_SECRET,
            &[&secret.id, &secret.master_key, &secret.sealed, &version],
        )
        .await
        .map_err(Error::statement("update_secret"))?;
    let retired = rows == 0 && ask_retired(&transaction, secret.master_key).await?;
    commit(transaction).await?;
    Ok(match (rows, retired) {
        (1, _) => Written::Done,
        (_, true) => Written::RetiredKey,
        (_, false) => Written::Changed,
    })
}

/// A secret.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, id: Uuid) -> Result<Option<Stored>, Error> {
    const GET_SECRET: &str = "\
-- get_secret
SELECT id, purpose, owner, master_key, sealed, version FROM secret WHERE id = $1";
    let client = store.get().await?;
    let row = client
        .query_opt(GET_SECRET, &[&id])
        .await
        .map_err(Error::statement("get_secret"))?;
    Ok(row.as_ref().map(stored))
}

/// The newest secret for `purpose` of `owner`.
///
/// # Errors
/// The database's failures.
pub async fn newest(store: &Store, purpose: &str, owner: &str) -> Result<Option<Uuid>, Error> {
    const NEWEST_SECRET: &str = "\
-- newest_secret
SELECT id FROM secret WHERE purpose = $1 AND owner = $2 ORDER BY updated_at DESC, id LIMIT 1";
    let client = store.get().await?;
    let row = client
        .query_opt(NEWEST_SECRET, &[&purpose, &owner])
        .await
        .map_err(Error::statement("newest_secret"))?;
    Ok(row.map(|row| row.get(0)))
}

/// Removes a secret; `false` when there is none.
///
/// # Errors
/// The database's failures.
pub async fn remove(store: &Store, id: Uuid) -> Result<bool, Error> {
    const REMOVE_SECRET: &str = "\
-- remove_secret
DELETE FROM secret WHERE id = $1";
    let client = store.get().await?;
    let rows = client
        .execute(REMOVE_SECRET, &[&id])
        .await
        .map_err(Error::statement("remove_secret"))?;
    Ok(rows == 1)
}

/// A page of the secrets that are not sealed under `master_key`, by id, behind `after`.
///
/// # Errors
/// The database's failures.
pub async fn sealed_otherwise(
    store: &Store,
    master_key: &str,
    after: Uuid,
    limit: u16,
) -> Result<Vec<Stored>, Error> {
    const SEALED_OTHERWISE: &str = "\
-- sealed_otherwise
SELECT id, purpose, owner, master_key, sealed, version FROM secret
WHERE master_key <> $1 AND id > $2 ORDER BY id LIMIT $3";
    let client = store.get().await?;
    let rows = client
        .query(SEALED_OTHERWISE, &[&master_key, &after, &i64::from(limit)])
        .await
        .map_err(Error::statement("sealed_otherwise"))?;
    Ok(rows.iter().map(stored).collect())
}

/// Each master key that seals something or was retired.
///
/// # Errors
/// The database's failures.
pub async fn key_use(store: &Store) -> Result<Vec<KeyUse>, Error> {
    const KEY_USE: &str = "\
-- key_use
SELECT coalesce(s.master_key, r.id), coalesce(s.secrets, 0), r.retired_at
FROM (SELECT master_key, count(*) AS secrets FROM secret GROUP BY master_key) AS s
FULL JOIN retired_master_key r ON r.id = s.master_key ORDER BY 1";
    let client = store.get().await?;
    let rows = client
        .query(KEY_USE, &[])
        .await
        .map_err(Error::statement("key_use"))?;
    Ok(rows
        .iter()
        .map(|row| KeyUse {
            master_key: row.get(0),
            secrets: row.get(1),
            retired_at: row.get(2),
        })
        .collect())
}

/// Sees to it that nothing is sealed under a master key from now on, unless something is.
///
/// # Errors
/// The database's failures.
pub async fn retire_key(store: &Store, master_key: &str) -> Result<Retired, Error> {
    const COUNT_SECRETS: &str = "\
-- count_secrets
SELECT count(*) FROM secret WHERE master_key = $1";
    const RETIRE_KEY: &str = "\
-- retire_key
INSERT INTO retired_master_key (id) VALUES ($1) ON CONFLICT DO NOTHING";
    let mut client = store.get().await?;
    let transaction = begin(&mut client, LOCK_KEYS).await?;
    let row = transaction
        .query_one(COUNT_SECRETS, &[&master_key])
        .await
        .map_err(Error::statement("count_secrets"))?;
    let secrets: i64 = row.get(0);
    if secrets > 0 {
        return Ok(Retired::InUse(secrets));
    }
    transaction
        .execute(RETIRE_KEY, &[&master_key])
        .await
        .map_err(Error::statement("retire_key"))?;
    commit(transaction).await?;
    Ok(Retired::Done)
}

/// Whether a master key was retired.
///
/// # Errors
/// The database's failures.
pub async fn is_retired(store: &Store, master_key: &str) -> Result<bool, Error> {
    ask_retired(&**store.get().await?, master_key).await
}

/// A transaction with a lock on the master keys.
async fn begin<'a>(
    client: &'a mut tokio_postgres::Client,
    lock: &'static str,
) -> Result<Transaction<'a>, Error> {
    let transaction = client.transaction().await.map_err(Error::statement("secret"))?;
    transaction
        .batch_execute(lock)
        .await
        .map_err(Error::statement("lock_keys"))?;
    Ok(transaction)
}

async fn commit(transaction: Transaction<'_>) -> Result<(), Error> {
    transaction.commit().await.map_err(Error::statement("secret"))
}

async fn ask_retired(client: &impl GenericClient, master_key: &str) -> Result<bool, Error> {
    const IS_RETIRED: &str = "\
-- is_retired
SELECT EXISTS (SELECT FROM retired_master_key WHERE id = $1)";
    let row = client
        .query_one(IS_RETIRED, &[&master_key])
        .await
        .map_err(Error::statement("is_retired"))?;
    Ok(row.get(0))
}

fn stored(row: &Row) -> Stored {
    Stored {
        id: row.get(0),
        purpose: row.get(1),
        owner: row.get(2),
        master_key: row.get(3),
        sealed: row.get(4),
        version: row.get(5),
    }
}
