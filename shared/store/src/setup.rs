//! The first user: whoever knows the code that vmscope printed makes himself the administrator.

use crate::access::{Change, Failure};
use crate::audit::{self, Context};
use crate::user::{self, NewUser, User};
use crate::{Error, Store, grant};
use tokio_postgres::GenericClient;

/// Whether there is no user yet.
///
/// # Errors
/// The database's failures.
pub async fn is_needed(store: &Store) -> Result<bool, Error> {
    nobody(&**store.get().await?).await
}

/// Whether there is a code that makes the first user.
///
/// # Errors
/// The database's failures.
pub async fn has_code(store: &Store) -> Result<bool, Error> {
    const HAS_SETUP_CODE: &str = "\
-- has_setup_code
SELECT EXISTS (SELECT FROM setup_code WHERE used_at IS NULL)";
    let row = store
        .get()
        .await?
        .query_one(HAS_SETUP_CODE, &[])
        .await
        .map_err(Error::statement("has_setup_code"))?;
    Ok(row.get(0))
}

/// Makes the code with this SHA-256 the one that makes the first user; earlier ones are worth nothing any more. With `unless_there`,
/// only if there is none. Returns whether it did: with a user there is nothing to set up.
///
/// # Errors
/// The database's failures.
pub async fn offer(
    store: &Store,
    context: &Context,
    sha256: &[u8; 32],
    unless_there: bool,
) -> Result<bool, Failure> {
    const OFFER_SETUP: &str = "\
-- offer_setup
WITH gone AS (DELETE FROM setup_code WHERE sha256 <> $1) INSERT INTO setup_code (sha256) VALUES ($1)";
    const IS_OFFERED: &str = "\
-- is_offered
SELECT EXISTS (SELECT FROM setup_code WHERE used_at IS NULL)";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let offered = change
        .transaction
        .query_one(IS_OFFERED, &[])
        .await
        .map_err(Error::statement("is_offered"))?;
    if !nobody(&*change.transaction).await? || (unless_there && offered.get(0)) {
        return Ok(false);
    }
    change
        .transaction
        .execute(OFFER_SETUP, &[&sha256.as_slice()])
        .await
        .map_err(Error::statement("offer_setup"))?;
    change.commit(&audit::Entry::done("setup.offer")).await?;
    Ok(true)
}

/// Makes the first user, who may do everything, for whoever knows the code with this SHA-256. The code is gone then. `None` when the
/// code is wrong, or somebody was faster.
///
/// # Errors
/// [`Refusal::Malformed`](crate::access::Refusal::Malformed), or the database's failures.
pub async fn complete(
    store: &Store,
    context: &Context,
    sha256: &[u8; 32],
    new: &NewUser,
) -> Result<Option<User>, Failure> {
    const USE_SETUP_CODE: &str = "\
-- use_setup_code
UPDATE setup_code SET used_at = now() WHERE sha256 = $1 AND used_at IS NULL";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    if !nobody(&*change.transaction).await? {
        return Ok(None);
    }
    let used = change
        .transaction
        .execute(USE_SETUP_CODE, &[&sha256.as_slice()])
        .await
        .map_err(Error::statement("use_setup_code"))?;
    if used == 0 {
        return Ok(None);
    }
    let made = user::insert(&*change.transaction, new).await?;
    grant::make_administrator(&*change.transaction, context, made.id).await?;
    let entry = audit::Entry::done("setup.complete").on("user", made.id, &made.name);
    let entry = entry.changing(None, Some(user::administrator(&made)));
    change.commit(&entry).await?;
    Ok(Some(made))
}

async fn nobody(client: &impl GenericClient) -> Result<bool, Error> {
    const HAS_USERS: &str = "\
-- has_users
SELECT EXISTS (SELECT FROM user_account)";
    let row = client
        .query_one(HAS_USERS, &[])
        .await
        .map_err(Error::statement("has_users"))?;
    Ok(!row.get::<_, bool>(0))
}
