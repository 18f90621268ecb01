//! Failures to log in, and the locks that follow.

use crate::access::{Authority, Change, Failure};
use crate::audit::{self, Context};
use crate::{Error, Store, user};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio_postgres::GenericClient;
use uuid::Uuid;

/// Wrong passwords in a row until an account is locked.
pub const MAX_FAILURES: i32 = 5;
/// For how long, in seconds.
pub const LOCKED_S: i64 = 1_800;

/// Whose failures are counted: a user's, or those of a name that nobody has, which are counted alike so that they tell nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// A user's.
    pub fn of_user(user: Uuid) -> Self {
        Self(format!("user:{user}"))
    }

    /// That of a name or address that nobody has.
    pub fn of_stranger(login: &str) -> Self {
        let hash = Sha256::digest(login.trim().to_lowercase().as_bytes());
        // Half of it is more than enough to keep names apart.
        let short = hash
            .iter()
            .take(16)
            .fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        Self(format!("name:{short:032x}"))
    }
}

/// Until when nobody can log in under this key; `None` when he can.
///
/// # Errors
/// The database's failures.
pub async fn locked_until(store: &Store, key: &Key) -> Result<Option<Timestamp>, Error> {
    const LOCKED_UNTIL: &str = "\
-- locked_until
SELECT locked_until FROM login_failure WHERE key = $1 AND locked_until > now()";
    let row = store
        .get()
        .await?
        .query_opt(LOCKED_UNTIL, &[&key.0])
        .await
        .map_err(Error::statement("locked_until"))?;
    Ok(row.and_then(|row| row.get(0)))
}

/// Counts a failure, and locks at the [`MAX_FAILURES`]th; returns until when. A lock that is over begins a new count.
///
/// # Errors
/// The database's failures.
pub async fn fail(
    store: &Store,
    context: &Context,
    key: &Key,
    user: Option<(Uuid, &str)>,
    code: u32,
) -> Result<Option<Timestamp>, Error> {
    const COUNT_FAILURE: &str = "\
-- count_failure
INSERT INTO login_failure AS f (key, failures) VALUES ($1, 1)
ON CONFLICT (key) DO UPDATE SET last_at = now(),
    failures = CASE WHEN f.locked_until <= now() THEN 1 ELSE f.failures + 1 END,
    locked_until = CASE
        WHEN f.locked_until > now() THEN f.locked_until
        WHEN f.locked_until IS NULL AND f.failures + 1 >= $2 THEN now() + make_interval(secs => $3::int8::float8)
    END
RETURNING locked_until";
    let mut client = store.get().await?;
    let transaction = client
        .transaction()
        .await
        .map_err(Error::statement("count_failure"))?;
    let row = transaction
        .query_one(COUNT_FAILURE, &[&key.0, &MAX_FAILURES, &LOCKED_S])
        .await
        .map_err(Error::statement("count_failure"))?;
    let mut entry = audit::Entry::failed("login.failure", code);
    if let Some((id, name)) = user {
        entry = entry.on("user", id, name);
    }
    audit::append(&*transaction, context, &entry).await?;
    transaction
        .commit()
        .await
        .map_err(Error::statement("count_failure"))?;
    Ok(row.get(0))
}

/// Forgets a user's failures.
///
/// # Errors
/// [`Refusal::Unknown`](crate::access::Refusal::Unknown), [`Refusal::Escalation`](crate::access::Refusal::Escalation) for a user who has more than the acting one, or the database's failures.
pub async fn unlock(store: &Store, context: &Context, by: Authority<'_>, id: Uuid) -> Result<(), Failure> {
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let user = user::existing(&*change.transaction, id).await?;
    by.over_user(&*change.transaction, id).await?;
    forget(&*change.transaction, id).await?;
    change
        .commit(&audit::Entry::done("user.unlock").on("user", id, &user.name))
        .await
}

/// Whether a user is locked out, at the latest by a failure that is being noted at this moment: it is waited for.
pub(crate) async fn is_locked(client: &impl GenericClient, user: Uuid) -> Result<bool, Error> {
    const IS_LOCKED: &str = "\
-- is_locked
SELECT coalesce(locked_until > now(), false) FROM login_failure WHERE key = $1 FOR UPDATE";
    let row = client
        .query_opt(IS_LOCKED, &[&Key::of_user(user).0])
        .await
        .map_err(Error::statement("is_locked"))?;
    Ok(row.is_some_and(|row| row.get(0)))
}

/// Forgets a user's failures: he has logged in.
pub(crate) async fn forget(client: &impl GenericClient, user: Uuid) -> Result<(), Error> {
    const RESET_FAILURES: &str = "\
-- reset_failures
DELETE FROM login_failure WHERE key = $1";
    client
        .execute(RESET_FAILURES, &[&Key::of_user(user).0])
        .await
        .map_err(Error::statement("reset_failures"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_key_does_not_tell_the_name_and_knows_no_case() {
        let key = Key::of_stranger(" Ada@Example.com ");
        assert_eq!(key, Key::of_stranger("ada@example.com"));
        assert!(!key.0.contains("ada"));
    }
}
