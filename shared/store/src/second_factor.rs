//! Second factors: codes by the clock (TOTP, its secret sealed elsewhere) and recovery codes.
//!
//! Each code works once: the newest step that was used is kept, and a recovery code is marked. Both are one statement, so
//! that of two who show the same code at once one gets in.

use crate::access::{Authority, Change, Failure, Refusal};
use crate::audit::{self, Context};
use crate::{Error, Store, user};
use tokio_postgres::GenericClient;
use uuid::Uuid;

/// What is kept of a user's second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totp {
    /// The sealed secret.
    pub secret: Uuid,
    /// The user has shown a code of it: it is asked for at each login.
    pub confirmed: bool,
    /// The newest step that was used.
    pub last_step: Option<i64>,
}

/// The second factor of a user, confirmed or not.
///
/// # Errors
/// The database's failures.
pub async fn get(store: &Store, user: Uuid) -> Result<Option<Totp>, Error> {
    const GET_TOTP: &str = "\
-- get_totp
SELECT totp_secret, totp_confirmed_at IS NOT NULL, totp_last_step FROM user_account
WHERE id = $1 AND totp_secret IS NOT NULL";
    let row = store
        .get()
        .await?
        .query_opt(GET_TOTP, &[&user])
        .await
        .map_err(Error::statement("get_totp"))?;
    Ok(row.map(|row| Totp {
        secret: row.get(0),
        confirmed: row.get(1),
        last_step: row.get(2),
    }))
}

/// Notes a secret whose first code is still to be shown. Gives the one before, which was never confirmed and is to be removed.
///
/// # Errors
/// [`Refusal::InUse`] when there is a confirmed one, [`Refusal::Unknown`], or the database's failures.
pub async fn begin(
    store: &Store,
    context: &Context,
    user: Uuid,
    secret: Uuid,
) -> Result<Option<Uuid>, Failure> {
    const BEGIN_TOTP: &str = "\
-- begin_totp
UPDATE user_account SET totp_secret = $2, totp_last_step = NULL WHERE id = $1 AND totp_confirmed_at IS NULL";
    let before = get(store, user).await?;
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let name = user::existing(&*change.transaction, user).await?.name;
    let changed = change
        .transaction
        .execute(BEGIN_TOTP, &[&user, &secret])
        .await
        .map_err(Error::statement("begin_totp"))?;
    if changed == 0 {
        return Err(Refusal::InUse.into());
    }
    change
        .commit(&audit::Entry::done("totp.begin").on("user", user, name))
        .await?;
    Ok(before.map(|before| before.secret))
}

/// Asks for the second factor from now on: its first code was shown, of `step`. The recovery codes replace earlier ones.
///
/// # Errors
/// [`Refusal::Unknown`] when no unconfirmed one is there, or the database's failures.
pub async fn confirm(
    store: &Store,
    context: &Context,
    user: Uuid,
    step: i64,
    recovery_sha256: &[[u8; 32]],
) -> Result<(), Failure> {
    const CONFIRM_TOTP: &str = "\
-- confirm_totp
UPDATE user_account SET totp_confirmed_at = now(), totp_last_step = $2
WHERE id = $1 AND totp_secret IS NOT NULL AND totp_confirmed_at IS NULL";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let name = user::existing(&*change.transaction, user).await?.name;
    let changed = change
        .transaction
        .execute(CONFIRM_TOTP, &[&user, &step])
        .await
        .map_err(Error::statement("confirm_totp"))?;
    if changed == 0 {
        return Err(Refusal::Unknown("second factor").into());
    }
    fill(&*change.transaction, user, recovery_sha256).await?;
    change
        .commit(&audit::Entry::done("totp.enable").on("user", user, name))
        .await
}

/// Asks for no second factor any more, and forgets the recovery codes; gives the sealed secret, which is to be removed.
///
/// # Errors
/// [`Refusal::Unknown`], [`Refusal::Escalation`] for a user who has more than the acting one, or the database's failures.
pub async fn disable(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    user: Uuid,
) -> Result<Option<Uuid>, Failure> {
    const DISABLE_TOTP: &str = "\
-- disable_totp
UPDATE user_account u SET totp_secret = NULL, totp_confirmed_at = NULL, totp_last_step = NULL
FROM (SELECT id, totp_secret FROM user_account WHERE id = $1 FOR UPDATE) AS before
WHERE u.id = before.id RETURNING before.totp_secret";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let name = user::existing(&*change.transaction, user).await?.name;
    by.over_user(&*change.transaction, user).await?;
    let row = change
        .transaction
        .query_one(DISABLE_TOTP, &[&user])
        .await
        .map_err(Error::statement("disable_totp"))?;
    fill(&*change.transaction, user, &[]).await?;
    change
        .commit(&audit::Entry::done("totp.disable").on("user", user, name))
        .await?;
    Ok(row.get(0))
}

/// Uses the code of `step`, if neither it nor a later one was used before; says whether it was.
///
/// # Errors
/// The database's failures.
pub async fn use_step(store: &Store, user: Uuid, step: i64) -> Result<bool, Error> {
    const USE_STEP: &str = "\
-- use_step
UPDATE user_account SET totp_last_step = $2
WHERE id = $1 AND totp_confirmed_at IS NOT NULL AND coalesce(totp_last_step < $2, true)";
    let done = store
        .get()
        .await?
        .execute(USE_STEP, &[&user, &step])
        .await
        .map_err(Error::statement("use_step"))?;
    Ok(done > 0)
}

/// Uses a recovery code; says whether there was one. Noted in the audit trail.
///
/// # Errors
/// The database's failures.
pub async fn use_recovery_code(
    store: &Store,
    context: &Context,
    user: Uuid,
    sha256: &[u8; 32],
) -> Result<bool, Failure> {
    const USE_RECOVERY_CODE: &str = "\
-- use_recovery_code
UPDATE recovery_code c SET used_at = now() FROM user_account u
WHERE c.user_id = $1 AND c.sha256 = $2 AND c.used_at IS NULL AND u.id = c.user_id AND u.totp_confirmed_at IS NOT NULL";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let done = change
        .transaction
        .execute(USE_RECOVERY_CODE, &[&user, &sha256.as_slice()])
        .await
        .map_err(Error::statement("use_recovery_code"))?;
    if done == 0 {
        return Ok(false);
    }
    let name = user::existing(&*change.transaction, user).await?.name;
    change
        .commit(&audit::Entry::done("totp.recovery").on("user", user, name))
        .await?;
    Ok(true)
}

/// Gives a user other recovery codes.
///
/// # Errors
/// [`Refusal::Unknown`], or the database's failures.
pub async fn replace_recovery_codes(
    store: &Store,
    context: &Context,
    user: Uuid,
    sha256: &[[u8; 32]],
) -> Result<(), Failure> {
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let found = user::existing(&*change.transaction, user).await?;
    if !found.two_factor {
        return Err(Refusal::Unknown("second factor").into());
    }
    fill(&*change.transaction, user, sha256).await?;
    change
        .commit(&audit::Entry::done("totp.recovery_codes").on("user", user, found.name))
        .await
}

/// How many recovery codes are left.
///
/// # Errors
/// The database's failures.
pub async fn recovery_codes_left(store: &Store, user: Uuid) -> Result<i64, Error> {
    const RECOVERY_CODES_LEFT: &str = "\
-- recovery_codes_left
SELECT count(*) FROM recovery_code WHERE user_id = $1 AND used_at IS NULL";
    let row = store
        .get()
        .await?
        .query_one(RECOVERY_CODES_LEFT, &[&user])
        .await
        .map_err(Error::statement("recovery_codes_left"))?;
    Ok(row.get(0))
}

async fn fill(client: &impl GenericClient, user: Uuid, sha256: &[[u8; 32]]) -> Result<(), Error> {
    const EMPTY_RECOVERY_CODES: &str = "\
-- empty_recovery_codes
DELETE FROM recovery_code WHERE user_id = $1";
    const FILL_RECOVERY_CODES: &str = "\
-- fill_recovery_codes
INSERT INTO recovery_code (user_id, sha256) SELECT $1, code FROM unnest($2::bytea[]) AS code";
    let codes: Vec<&[u8]> = sha256.iter().map(<[u8; 32]>::as_slice).collect();
    client
        .execute(EMPTY_RECOVERY_CODES, &[&user])
        .await
        .map_err(Error::statement("empty_recovery_codes"))?;
    client
        .execute(FILL_RECOVERY_CODES, &[&user, &codes])
        .await
        .map_err(Error::statement("fill_recovery_codes"))?;
    Ok(())
}
