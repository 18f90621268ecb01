//! API tokens: what programs show instead of a person's password.

use crate::access::{Change, Failure, Refusal};
use crate::audit::{self, Context};
use crate::{Error, Store};
use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;
use vmscope_model::access::Permission;

/// How long a use is not noted again, in seconds: programs ask often.
const NOTED_S: i64 = 60;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user: Uuid,
    /// Its name.
    pub name: String,
    /// What it is good for, as far as its owner may do it.
    pub permissions: Vec<String>,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to a minute.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_used_remote: Option<String>,
    /// Since when it is worth nothing.
    pub revoked_at: Option<Timestamp>,
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    /// Its id, which is a part of it.
    pub id: Uuid,
    /// Whose.
    pub user: Uuid,
    /// Its name.
    pub name: &'a str,
    /// SHA-256 of its secret.
    pub secret_sha256: &'a [u8; 32],
    /// What it is good for.
    pub permissions: &'a [Permission],
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Makes a token.
///
/// # Errors
/// [`Refusal::Unknown`] for its owner, or the database's failures.
pub async fn create(store: &Store, context: &Context, new: &NewToken<'_>) -> Result<Token, Failure> {
    const CREATE_TOKEN: &str = "\
-- create_token
INSERT INTO api_token (id, user_id, name, secret_sha256, permissions, expires_at)
SELECT $1, id, $3, $4, $5, $6 FROM user_account WHERE id = $2 RETURNING *";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let permissions: Vec<&str> = new.permissions.iter().map(Permission::as_str).collect();
    let row = change
        .transaction
        .query_opt(
            CREATE_TOKEN,
            &[
                &new.id,
                &new.user,
                &new.name,
                &new.secret_sha256.as_slice(),
                &permissions,
                &new.expires_at,
            ],
        )
        .await
        .map_err(Failure::statement("create_token"))?;
    let token = token(&row.ok_or(Refusal::Unknown("user"))?);
    let after = json!({ "permissions": token.permissions, "expires_at": token.expires_at });
    let entry = audit::Entry::done("token.create").on("token", token.id, &token.name);
    change.commit(&entry.changing(None, Some(after))).await?;
    Ok(token)
}

/// The tokens of a user, the newest first, those that are worth nothing any more too.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, user: Uuid) -> Result<Vec<Token>, Error> {
    const LIST_TOKENS: &str = "\
-- list_tokens
SELECT * FROM api_token WHERE user_id = $1 ORDER BY created_at DESC, id";
    let rows = store
        .get()
        .await?
        .query(LIST_TOKENS, &[&user])
        .await
        .map_err(Error::statement("list_tokens"))?;
    Ok(rows.iter().map(token).collect())
}

/// Makes a token of a user worth nothing.
///
/// # Errors
/// [`Refusal::Unknown`] when he has no such token that is worth something, or the database's failures.
pub async fn revoke(store: &Store, context: &Context, user: Uuid, id: Uuid) -> Result<(), Failure> {
    const REVOKE_TOKEN: &str = "\
-- revoke_token
UPDATE api_token SET revoked_at = now() WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING name";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let row = change
        .transaction
        .query_opt(REVOKE_TOKEN, &[&id, &user])
        .await
        .map_err(Error::statement("revoke_token"))?;
    let name: String = row.ok_or(Refusal::Unknown("token"))?.get(0);
    change
        .commit(&audit::Entry::done("token.revoke").on("token", id, name))
        .await
}

/// A token that was shown, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The token.
    pub token: Token,
    /// Its owner's name.
    pub user_name: String,
}

/// The token with this id and secret, while it and its owner are good; notes its use.
///
/// # Errors
/// The database's failures.
pub async fn show(
    store: &Store,
    id: Uuid,
    secret_sha256: &[u8; 32],
    remote: &str,
) -> Result<Option<Shown>, Error> {
    const SHOW_TOKEN: &str = "\
-- show_token
SELECT t.*, u.name AS user_name, coalesce(t.last_used_at < now() - make_interval(secs => $3::int8::float8), true) AS is_news
FROM api_token t JOIN user_account u ON u.id = t.user_id
WHERE t.id = $1 AND t.secret_sha256 = $2 AND t.revoked_at IS NULL AND t.expires_at > now() AND u.disabled_at IS NULL";
    const NOTE_USE: &str = "\
-- note_use
UPDATE api_token SET last_used_at = now(), last_used_remote = $2 WHERE id = $1";
    let client = store.get().await?;
    let row = client
        .query_opt(SHOW_TOKEN, &[&id, &secret_sha256.as_slice(), &NOTED_S])
        .await
        .map_err(Error::statement("show_token"))?;
    let Some(row) = row else {
        return Ok(None);
    };
    if row.get("is_news") {
        client
            .execute(NOTE_USE, &[&id, &remote])
            .await
            .map_err(Error::statement("note_use"))?;
    }
    Ok(Some(Shown {
        token: token(&row),
        user_name: row.get("user_name"),
    }))
}

fn token(row: &Row) -> Token {
    Token {
        id: row.get("id"),
        user: row.get("user_id"),
        name: row.get("name"),
        permissions: row.get("permissions"),
        expires_at: row.get("expires_at"),
        created_at: row.get("created_at"),
        last_used_at: row.get("last_used_at"),
        last_used_remote: row.get("last_used_remote"),
        revoked_at: row.get("revoked_at"),
    }
}
