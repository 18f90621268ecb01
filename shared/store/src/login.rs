//! Sessions, and the tokens that continue them.
//!
//! A session has one refresh token at a time. Each is good for one use: a used one that comes again tells that somebody else has
//! it too, and nobody can say who is who, so the session ends for both.

use crate::access::{Authority, Change, Failure, Refusal};
use crate::audit::{self, Actor, Context};
use crate::user::{self, User};
use crate::{Error, Store, lockout};
use jiff::Timestamp;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

/// How long sessions are kept after their end, in days: people look at where they were logged in.
const KEPT_DAYS: i32 = 30;

/// Somebody who wants to log in: the person and the hash of his password.
#[derive(Clone)]
pub struct Credentials {
    /// Who.
    pub user: User,
    /// The hash of his password.
    pub password_hash: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The person with this name or e-mail address.
///
/// # Errors
/// The database's failures.
pub async fn credentials(store: &Store, login: &str) -> Result<Option<Credentials>, Error> {
    match user::find_by_login(store, login.trim()).await? {
        Some(user) => credentials_of(store, user.id).await,
        None => Ok(None),
    }
}

/// The person with this id.
///
/// # Errors
/// The database's failures.
pub async fn credentials_of(store: &Store, id: Uuid) -> Result<Option<Credentials>, Error> {
    const PASSWORD_HASH: &str = "\
-- password_hash
SELECT password_hash FROM user_account WHERE id = $1";
    let Some(user) = user::get(store, id).await? else {
        return Ok(None);
    };
    let row = store
        .get()
        .await?
        .query_opt(PASSWORD_HASH, &[&id])
        .await
        .map_err(Error::statement("password_hash"))?;
    Ok(row.map(|row| Credentials {
        user,
        password_hash: row.get(0),
    }))
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user: Uuid,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last continued.
    pub last_used_at: Timestamp,
    /// When it ends unless it is continued.
    pub expires_at: Timestamp,
    /// From where it was last continued.
    pub remote: String,
    /// With which program.
    pub user_agent: String,
}

/// A session to be begun.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// Whose.
    pub user: Uuid,
    /// SHA-256 of its first refresh token.
    pub refresh_sha256: &'a [u8; 32],
    /// How long it lasts unless it is continued, in seconds.
    pub lifetime_s: i64,
    /// From where.
    pub remote: &'a str,
    /// With which program.
    pub user_agent: &'a str,
}

/// Begins a session: forgets failures and notes the login.
///
/// Guesses that are verified at the same time are not yet counted when they begin, so a lock that fell meanwhile counts here:
/// of a burst of guesses, a right one helps only if it is among the first.
///
/// # Errors
/// [`Refusal::Unknown`] for a user that is gone or disabled, [`Refusal::Locked`], or the database's failures.
pub async fn begin(store: &Store, context: &Context, new: NewSession<'_>) -> Result<Session, Failure> {
    const NOTE_LOGIN: &str = "\
-- note_login
UPDATE user_account SET last_login_at = now() WHERE id = $1 AND disabled_at IS NULL RETURNING name";
    const BEGIN_SESSION: &str = "\
-- begin_session
INSERT INTO login_session (id, user_id, expires_at, remote, user_agent)
VALUES ($1, $2, now() + make_interval(secs => $3::int8::float8), $4, left($5, 500)) RETURNING *";
    let mut client = store.get().await?;
    let transaction = client
        .transaction()
        .await
        .map_err(Error::statement("note_login"))?;
    let noted = transaction
        .query_opt(NOTE_LOGIN, &[&new.user])
        .await
        .map_err(Error::statement("note_login"))?;
    let name: String = noted.ok_or(Refusal::Unknown("user"))?.get(0);
    if lockout::is_locked(&*transaction, new.user).await? {
        return Err(Refusal::Locked.into());
    }
    lockout::forget(&*transaction, new.user).await?;
    let row = transaction
        .query_one(
            BEGIN_SESSION,
            &[
                &Uuid::new_v4(),
                &new.user,
                &new.lifetime_s,
                &new.remote,
                &new.user_agent,
            ],
        )
        .await
        .map_err(Error::statement("begin_session"))?;
    let session = session(&row);
    issue(&*transaction, session.id, new.refresh_sha256, session.expires_at).await?;
    let entry = audit::Entry::done("login.success").on("user", new.user, name);
    audit::append(&*transaction, context, &entry).await?;
    transaction
        .commit()
        .await
        .map_err(Error::statement("begin_session"))?;
    Ok(session)
}

/// What came of an attempt to continue a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// It goes on.
    Done(Session),
    /// The token was used before: the session has ended now.
    Reused(Uuid),
    /// The token or the session has expired, or the session or the user has been shut out.
    Over,
    /// There is no such token.
    Unknown,
}

/// Continues a session: `old` is used up, `new` is good from now on. Of two who come at the same time with the same token, the
/// second one ends the session.
///
/// # Errors
/// The database's failures.
pub async fn refresh(
    store: &Store,
    context: &Context,
    old: &[u8; 32],
    new: &[u8; 32],
    lifetime_s: i64,
) -> Result<Refreshed, Error> {
    const FIND_REFRESH: &str = "\
-- find_refresh
SELECT s.*, u.name, t.used_at IS NOT NULL AS used,
    t.expires_at <= now() OR s.expires_at <= now() OR s.revoked_at IS NOT NULL OR u.disabled_at IS NOT NULL AS over
FROM refresh_token t JOIN login_session s ON s.id = t.session_id JOIN user_account u ON u.id = s.user_id
WHERE t.sha256 = $1 FOR UPDATE OF s, t";
    let mut client = store.get().await?;
    let transaction = client
        .transaction()
        .await
        .map_err(Error::statement("find_refresh"))?;
    let row = transaction
        .query_opt(FIND_REFRESH, &[&old.as_slice()])
        .await
        .map_err(Error::statement("find_refresh"))?;
    let Some(row) = row else {
        return Ok(Refreshed::Unknown);
    };
    let before = session(&row);
    let outcome = if row.get("used") {
        let context = Context {
            actor: Actor::User {
                id: before.user,
                name: row.get("name"),
            },
            ..context.clone()
        };
        revoke_reused(&*transaction, &context, &before).await?;
        Refreshed::Reused(before.id)
    } else if row.get("over") {
        return Ok(Refreshed::Over);
    } else {
        Refreshed::Done(carry_on(&*transaction, context, before.id, (old, new), lifetime_s).await?)
    };
    transaction
        .commit()
        .await
        .map_err(Error::statement("find_refresh"))?;
    Ok(outcome)
}

async fn revoke_reused(
    client: &impl GenericClient,
    context: &Context,
    session: &Session,
) -> Result<(), Error> {
    const REVOKE_REUSED: &str = "\
-- revoke_reused
UPDATE login_session SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL";
    let revoked = client
        .execute(REVOKE_REUSED, &[&session.id])
        .await
        .map_err(Error::statement("revoke_reused"))?;
    if revoked > 0 {
        let entry =
            audit::Entry::denied("session.reuse", 40_103).on("session", session.id, &session.user_agent);
        audit::append(client, context, &entry).await?;
    }
    Ok(())
}

async fn carry_on(
    client: &impl GenericClient,
    context: &Context,
    id: Uuid,
    (old, new): (&[u8; 32], &[u8; 32]),
    lifetime_s: i64,
) -> Result<Session, Error> {
    const USE_REFRESH: &str = "\
-- use_refresh
UPDATE refresh_token SET used_at = now(), used_from = $2, successor = $3 WHERE sha256 = $1";
    const CONTINUE_SESSION: &str = "\
-- continue_session
UPDATE login_session SET last_used_at = now(), expires_at = now() + make_interval(secs => $2::int8::float8), remote = $3
WHERE id = $1 RETURNING *";
    client
        .execute(USE_REFRESH, &[&old.as_slice(), &context.remote, &new.as_slice()])
        .await
        .map_err(Error::statement("use_refresh"))?;
    let row = client
        .query_one(CONTINUE_SESSION, &[&id, &lifetime_s, &context.remote])
        .await
        .map_err(Error::statement("continue_session"))?;
    let session = session(&row);
    issue(client, id, new, session.expires_at).await?;
    Ok(session)
}

async fn issue(
    client: &impl GenericClient,
    id: Uuid,
    sha256: &[u8; 32],
    expires_at: Timestamp,
) -> Result<(), Error> {
    const ISSUE_REFRESH: &str = "\
-- issue_refresh
INSERT INTO refresh_token (sha256, session_id, expires_at) VALUES ($1, $2, $3)";
    client
        .execute(ISSUE_REFRESH, &[&sha256.as_slice(), &id, &expires_at])
        .await
        .map_err(Error::statement("issue_refresh"))?;
    Ok(())
}

/// Whose session this is, while it lasts and he is not shut out.
///
/// # Errors
/// The database's failures.
pub async fn holder(store: &Store, id: Uuid) -> Result<Option<User>, Error> {
    const SESSION_HOLDER: &str = "\
-- session_holder
SELECT s.user_id FROM login_session s JOIN user_account u ON u.id = s.user_id
WHERE s.id = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL";
    let row = store
        .get()
        .await?
        .query_opt(SESSION_HOLDER, &[&id])
        .await
        .map_err(Error::statement("session_holder"))?;
    match row {
        Some(row) => user::get(store, row.get(0)).await,
        None => Ok(None),
    }
}

/// The sessions of a user that last, the one that was used last first.
///
/// # Errors
/// The database's failures.
pub async fn sessions(store: &Store, user: Uuid) -> Result<Vec<Session>, Error> {
    const LIST_SESSIONS: &str = "\
-- list_sessions
SELECT * FROM login_session WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now() ORDER BY last_used_at DESC, id";
    let rows = store
        .get()
        .await?
        .query(LIST_SESSIONS, &[&user])
        .await
        .map_err(Error::statement("list_sessions"))?;
    Ok(rows.iter().map(session).collect())
}

/// Ends one session of a user: he logs out, or looks after his sessions.
///
/// # Errors
/// [`Refusal::Unknown`] when he has no such session, or the database's failures.
pub async fn end(store: &Store, context: &Context, user: Uuid, id: Uuid) -> Result<(), Failure> {
    const END_SESSION: &str = "\
-- end_session
UPDATE login_session SET revoked_at = now()
WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now() RETURNING user_agent";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let row = change
        .transaction
        .query_opt(END_SESSION, &[&id, &user])
        .await
        .map_err(Error::statement("end_session"))?;
    let agent: String = row.ok_or(Refusal::Unknown("session"))?.get(0);
    change
        .commit(&audit::Entry::done("session.revoke").on("session", id, agent))
        .await
}

/// Ends all sessions of a user; returns how many there were.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Escalation`] for a user who has more than the acting one, or the database's failures.
pub async fn end_all(store: &Store, context: &Context, by: Authority<'_>, id: Uuid) -> Result<u64, Failure> {
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let user = user::existing(&*change.transaction, id).await?;
    by.over_user(&*change.transaction, id).await?;
    let ended = user::end_sessions(&*change.transaction, id, None).await?;
    let entry = audit::Entry::done("user.end_sessions").on("user", id, &user.name);
    change.commit(&entry).await?;
    Ok(ended)
}

/// Forgets sessions that ended long ago, with their tokens, and failures that count no more.
///
/// # Errors
/// The database's failures.
pub async fn sweep(store: &Store) -> Result<u64, Error> {
    const SWEEP_SESSIONS: &str = "\
-- sweep_sessions
WITH failures AS (DELETE FROM login_failure WHERE greatest(last_at, locked_until) < now() - interval '1 day')
DELETE FROM login_session WHERE least(expires_at, revoked_at) < now() - make_interval(days => $1)";
    store
        .get()
        .await?
        .execute(SWEEP_SESSIONS, &[&KEPT_DAYS])
        .await
        .map_err(Error::statement("sweep_sessions"))
}

fn session(row: &Row) -> Session {
    Session {
        id: row.get("id"),
        user: row.get("user_id"),
        created_at: row.get("created_at"),
        last_used_at: row.get("last_used_at"),
        expires_at: row.get("expires_at"),
        remote: row.get("remote"),
        user_agent: row.get("user_agent"),
    }
}
