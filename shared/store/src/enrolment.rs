//! Enrolment tokens, and the one transaction in which a token's use and the certificate that it bought are recorded.
//!
//! The database's clock decides what has expired. Whatever concerns one host happens under that host's lock, so that a
//! certificate is never recorded behind the back of a revocation.

use crate::certificate::{self, NewCertificate};
use crate::revocation;
use crate::{Error, Store};
use jiff::Timestamp;
use std::time::Duration;
use tokio_postgres::GenericClient;
use vmscope_model::HostId;

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The part that may be shown.
    pub id: String,
    /// The SHA-256 of the secret.
    pub secret_sha256: [u8; 32],
    /// What it is for, in a person's words.
    pub label: String,
    /// The one host that it is for; none in particular without.
    pub host: Option<HostId>,
    /// How often it can be used.
    pub uses_allowed: i32,
    /// How long.
    pub ttl: Duration,
}

/// A token as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The part that may be shown.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// The one host that it is for.
    pub host: Option<HostId>,
    /// How often it can be used.
    pub uses_allowed: i32,
    /// How often it was.
    pub uses: i32,
    /// Until when.
    pub expires_at: Timestamp,
    /// Whether that is past.
    pub expired: bool,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A host that shows a token.
#[derive(Debug, Clone)]
pub struct Attempt<'a> {
    /// The token's id.
    pub token_id: &'a str,
    /// The SHA-256 of the secret that the host knows.
    pub secret_sha256: [u8; 32],
    /// The host that it says it is.
    pub host: HostId,
}

/// Why a token does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// There is no such token.
    UnknownToken,
    /// It was revoked.
    RevokedToken,
    /// Its time is over.
    ExpiredToken,
    /// It was used as often as it may be.
    UsedUpToken,
    /// It is for another host.
    HostMismatchToken,
    /// The host is revoked, and the token is not for this very host.
    HostRevoked,
    /// The host is known already, and the token is not for this very host.
    HostKnown,
}

/// Why no certificate was recorded.
#[derive(Debug)]
pub enum Failure<E> {
    /// The token does not help.
    Denied(Denied),
    /// The certificate could not be made.
    Unsigned(E),
    /// The database failed.
    Database(Error),
}

impl<E> From<Error> for Failure<E> {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// Records a token; gives until when it can be used.
///
/// # Errors
/// The database's failures.
pub async fn create_token(store: &Store, token: &NewToken) -> Result<Timestamp, Error> {
    const CREATE_TOKEN: &str = "\
-- create_token
INSERT INTO enrolment_token (id, secret_sha256, label, host_uuid, uses_allowed, expires_at)
VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6::float8)) RETURNING expires_at";
    let client = store.get().await?;
    let row = client
        .query_one(
            CREATE_TOKEN,
            &[
                &token.id,
                &token.secret_sha256.as_slice(),
                &token.label,
                &token.host.map(|host| host.0),
                &token.uses_allowed,
                &token.ttl.as_secs_f64(),
            ],
        )
        .await
        .map_err(Error::statement("create_token"))?;
    Ok(row.get(0))
}

/// Every token that is kept, the newest first.
///
/// # Errors
/// The database's failures.
pub async fn list_tokens(store: &Store) -> Result<Vec<Token>, Error> {
    const LIST_TOKENS: &str = "\
-- list_tokens
SELECT id, label, host_uuid, uses_allowed, uses, expires_at, expires_at <= now(), revoked_at IS NOT NULL
FROM enrolment_token ORDER BY created_at DESC, id";
    let client = store.get().await?;
    let rows = client
        .query(LIST_TOKENS, &[])
        .await
        .map_err(Error::statement("list_tokens"))?;
    let token = |row: &tokio_postgres::Row| Token {
        id: row.get(0),
        label: row.get(1),
        host: row.get::<_, Option<_>>(2).map(HostId),
        uses_allowed: row.get(3),
        uses: row.get(4),
        expires_at: row.get(5),
        expired: row.get(6),
        revoked: row.get(7),
    };
    Ok(rows.iter().map(token).collect())
}

/// Ends a token before its time; says whether there is one of this id.
///
/// # Errors
/// The database's failures.
pub async fn revoke_token(store: &Store, id: &str) -> Result<bool, Error> {
    const REVOKE_TOKEN: &str = "\
-- revoke_token
UPDATE enrolment_token SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1";
    let client = store.get().await?;
    let found = client
        .execute(REVOKE_TOKEN, &[&id])
        .await
        .map_err(Error::statement("revoke_token"))?;
    Ok(found > 0)
}

/// Records the certificate that `sign` makes, if the token entitles to it, and counts the use: both or neither.
///
/// The same host that asks again with the same key (the answer was lost) is answered again and not counted. A token for one
/// host replaces that host's certificates: earlier ones are revoked, and a revocation is lifted.
///
/// # Errors
/// [`Failure`] says why nothing was recorded.
pub async fn enrol<E>(
    store: &Store,
    attempt: &Attempt<'_>,
    sign: impl FnOnce() -> Result<NewCertificate, E>,
) -> Result<(), Failure<E>> {
    let mut client = store.get().await?;
    let transaction = client.transaction().await.map_err(Error::statement("enrol"))?;
    certificate::lock_host(&*transaction, attempt.host).await?;
    let token = find_token(&*transaction, attempt)
        .await?
        .map_err(Failure::Denied)?;
    let signed = sign().map_err(Failure::Unsigned)?;
    let again = is_repeated(&*transaction, attempt, &signed).await?;
    if !again {
        if token.used_up {
            return Err(Failure::Denied(Denied::UsedUpToken));
        }
        count_use(&*transaction, attempt.token_id).await?;
    }
    match revocation::standing(&*transaction, attempt.host).await? {
        revocation::Standing::Revoked if !token.bound => return Err(Failure::Denied(Denied::HostRevoked)),
        revocation::Standing::Known if !token.bound && !again => {
            return Err(Failure::Denied(Denied::HostKnown));
        }
        revocation::Standing::Revoked | revocation::Standing::Known if !again => {
            revocation::replace(&*transaction, attempt.host).await?;
        }
        _ => {}
    }
    certificate::record(&*transaction, attempt.host, Some(attempt.token_id), &signed).await?;
    transaction
        .commit()
        .await
        .map_err(Error::statement("enrol"))
        .map_err(Failure::Database)
}

/// Forgets tokens and certificates that ran out long ago: neither would be accepted anyway.
///
/// # Errors
/// The database's failures.
pub async fn forget_expired(store: &Store, age: Duration) -> Result<u64, Error> {
    const FORGET_EXPIRED: &str = "\
-- forget_expired
WITH certificates AS (
    DELETE FROM certificate WHERE expires_at < now() - make_interval(secs => $1::float8) RETURNING 1
), tokens AS (
    DELETE FROM enrolment_token WHERE expires_at < now() - make_interval(secs => $1::float8) RETURNING 1
)
SELECT (SELECT count(*) FROM certificates) + (SELECT count(*) FROM tokens)";
    let client = store.get().await?;
    let row = client
        .query_one(FORGET_EXPIRED, &[&age.as_secs_f64()])
        .await
        .map_err(Error::statement("forget_expired"))?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// A token that is good for its host and its time.
struct Good {
    bound: bool,
    used_up: bool,
}

async fn find_token(
    client: &impl GenericClient,
    attempt: &Attempt<'_>,
) -> Result<Result<Good, Denied>, Error> {
    const FIND_TOKEN: &str = "\
-- find_token
SELECT revoked_at IS NOT NULL, expires_at <= now(), uses >= uses_allowed, host_uuid
FROM enrolment_token WHERE id = $1 AND secret_sha256 = $2 FOR UPDATE";
    let row = client
        .query_opt(
            FIND_TOKEN,
            &[&attempt.token_id, &attempt.secret_sha256.as_slice()],
        )
        .await
        .map_err(Error::statement("find_token"))?;
    let Some(row) = row else {
        return Ok(Err(Denied::UnknownToken));
    };
    let host: Option<uuid::Uuid> = row.get(3);
    Ok(if row.get(0) {
        Err(Denied::RevokedToken)
    } else if row.get(1) {
        Err(Denied::ExpiredToken)
    } else if host.is_some_and(|host| host != attempt.host.0) {
        Err(Denied::HostMismatchToken)
    } else {
        Ok(Good {
            bound: host.is_some(),
            used_up: row.get(2),
        })
    })
}

/// Whether the token has bought this host a certificate for the same key before.
async fn is_repeated(
    client: &impl GenericClient,
    attempt: &Attempt<'_>,
    signed: &NewCertificate,
) -> Result<bool, Error> {
    const IS_REPEATED: &str = "\
-- is_repeated
SELECT EXISTS (
    SELECT FROM certificate WHERE token_id = $1 AND host_uuid = $2 AND key_sha256 = $3 AND revoked_at IS NULL
)";
    let row = client
        .query_one(
            IS_REPEATED,
            &[&attempt.token_id, &attempt.host.0, &signed.key_sha256.as_slice()],
        )
        .await
        .map_err(Error::statement("is_repeated"))?;
    Ok(row.get(0))
}

async fn count_use(client: &impl GenericClient, id: &str) -> Result<(), Error> {
    const COUNT_USE: &str = "\
-- count_use
UPDATE enrolment_token SET uses = uses + 1 WHERE id = $1";
    client
        .execute(COUNT_USE, &[&id])
        .await
        .map_err(Error::statement("count_use"))?;
    Ok(())
}
