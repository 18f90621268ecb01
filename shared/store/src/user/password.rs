//! Passwords of users, as hashes, and the sessions that end with them.

use super::existing;
use crate::access::{Authority, Change, Failure};
use crate::audit::{self, Context};
use crate::{Error, Store};
use serde_json::json;
use tokio_postgres::GenericClient;
use uuid::Uuid;

/// Another password.
#[derive(Clone, Copy)]
pub struct NewPassword<'a> {
    /// Its hash.
    pub hash: &'a str,
    /// It must be changed before anything else.
    pub must_change: bool,
    /// The session that goes on; all others of the user end.
    pub keep_session: Option<Uuid>,
}

/// Gives a user another password, and forgets his failures to log in. His tokens stay.
///
/// # Errors
/// [`Refusal::Unknown`](crate::access::Refusal::Unknown), [`Refusal::Escalation`](crate::access::Refusal::Escalation) for a user who has more than the acting one, or the database's failures.
pub async fn set_password(
    store: &Store,
    context: &Context,
    by: Authority<'_>,
    id: Uuid,
    new: NewPassword<'_>,
) -> Result<(), Failure> {
    const SET_PASSWORD: &str = "\
-- set_password
WITH unlocked AS (DELETE FROM login_failure WHERE key = 'user:' || $1::uuid)
UPDATE user_account SET password_hash = $2, must_change_password = $3, password_changed_at = now() WHERE id = $1";
    let mut client = store.get().await?;
    let change = Change::begin(&mut client, context).await?;
    let user = existing(&*change.transaction, id).await?;
    by.over_user(&*change.transaction, id).await?;
    change
        .transaction
        .execute(SET_PASSWORD, &[&id, &new.hash, &new.must_change])
        .await
        .map_err(Error::statement("set_password"))?;
    end_sessions(&*change.transaction, id, new.keep_session).await?;
    let entry = audit::Entry::done("user.password").on("user", id, &user.name);
    let after = json!({ "must_change_password": new.must_change });
    change.commit(&entry.changing(None, Some(after))).await
}

/// Ends the sessions of a user, except one.
pub(crate) async fn end_sessions(
    client: &impl GenericClient,
    user: Uuid,
    except: Option<Uuid>,
) -> Result<u64, Error> {
    const END_SESSIONS: &str = "\
-- end_sessions
UPDATE login_session SET revoked_at = now()
WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now() AND id IS DISTINCT FROM $2";
    client
        .execute(END_SESSIONS, &[&user, &except])
        .await
        .map_err(Error::statement("end_sessions"))
}
