//! Hosts that are not let in any more, and how collectors learn of it at once.
//!
//! A revocation is kept by the host's UUID and for ever, also when the host itself is removed. It is lifted only by a new
//! enrolment with a token for this very host; certificates from before stay revoked. Collectors are told by `NOTIFY`; a
//! notification that is lost costs the time until they look again by themselves.

use crate::certificate::lock_host;
use crate::{Error, REPORTING_S, Store};
use futures_util::future::poll_fn;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, GenericClient, NoTls};
use vmscope_model::HostId;

/// News that wait to be looked at: one says as much as many.
const NEWS: usize = 1;

/// What removing a host came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, with its VMs and devices.
    Removed,
    /// It still reports: stop its agent first, or revoke it.
    Reporting,
    /// There was no such host; its UUID is refused from now on.
    Unknown,
}

/// What is known of a host that wants a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    New,
    /// It has reported, or has a certificate, or was revoked once.
    Known,
    /// It is revoked.
    Revoked,
}

/// Refuses a host from now on: its certificates, and its tokens that are not used yet. Says whether it was known at all.
///
/// # Errors
/// The database's failures.
pub async fn revoke_host(store: &Store, host: HostId, reason: &str) -> Result<bool, Error> {
    let mut client = store.get().await?;
    let transaction = client.transaction().await.map_err(Error::statement("revoke"))?;
    lock_host(&*transaction, host).await?;
    let standing = standing(&*transaction, host).await?;
    revoke(&*transaction, host, reason).await?;
    transaction.commit().await.map_err(Error::statement("revoke"))?;
    Ok(standing != Standing::New)
}

/// Removes a host with all that belongs to it, except its samples, which nobody can ask for any more and which go when their
/// time is over. Its UUID is revoked.
///
/// # Errors
/// The database's failures.
pub async fn remove_host(store: &Store, host: HostId) -> Result<Removal, Error> {
    const IS_REPORTING: &str = "\
-- is_reporting
SELECT coalesce(max(p.last_tick_at) >= now() - make_interval(secs => $2::int8::float8), false)
FROM host h LEFT JOIN ingest_progress p ON p.host_id = h.id WHERE h.uuid = $1";
    const REMOVE_HOST: &str = "\
-- remove_host
DELETE FROM host WHERE uuid = $1";
    const NOTE_REMOVAL: &str = "\
-- note_removal
UPDATE host_revocation SET removed_at = now() WHERE host_uuid = $1";
    let mut client = store.get().await?;
    let transaction = client.transaction().await.map_err(Error::statement("remove"))?;
    lock_host(&*transaction, host).await?;
    let reporting = transaction
        .query_one(IS_REPORTING, &[&host.0, &REPORTING_S])
        .await
        .map_err(Error::statement("is_reporting"))?;
    if reporting.get(0) {
        return Ok(Removal::Reporting);
    }
    let known = standing(&*transaction, host).await? != Standing::New;
    revoke(&*transaction, host, "removed").await?;
    for (operation, statement) in [("remove_host", REMOVE_HOST), ("note_removal", NOTE_REMOVAL)] {
        transaction
            .execute(statement, &[&host.0])
            .await
            .map_err(Error::statement(operation))?;
    }
    transaction.commit().await.map_err(Error::statement("remove"))?;
    Ok(if known { Removal::Removed } else { Removal::Unknown })
}

/// What is known of `host`.
pub(crate) async fn standing(client: &impl GenericClient, host: HostId) -> Result<Standing, Error> {
    const STANDING: &str = "\
-- standing
SELECT EXISTS (SELECT FROM host_revocation WHERE host_uuid = $1 AND lifted_at IS NULL),
    EXISTS (SELECT FROM host_revocation WHERE host_uuid = $1) OR EXISTS (SELECT FROM host WHERE uuid = $1)
    OR EXISTS (SELECT FROM certificate WHERE host_uuid = $1)";
    let row = client
        .query_one(STANDING, &[&host.0])
        .await
        .map_err(Error::statement("standing"))?;
    Ok(match (row.get(0), row.get(1)) {
        (true, _) => Standing::Revoked,
        (false, true) => Standing::Known,
        (false, false) => Standing::New,
    })
}

/// Revokes every certificate of `host`, recorded or not, and lets it in again with those that will be recorded.
pub(crate) async fn replace(client: &impl GenericClient, host: HostId) -> Result<(), Error> {
    const REPLACE: &str = "\
-- replace
INSERT INTO host_revocation (host_uuid, reason, lifted_at) VALUES ($1, 'enrolled again', now())
ON CONFLICT (host_uuid) DO UPDATE SET lifted_at = now(), removed_at = NULL";
    revoke_certificates(client, host).await?;
    client
        .execute(REPLACE, &[&host.0])
        .await
        .map_err(Error::statement("replace"))?;
    notify(client, host).await
}

async fn revoke(client: &impl GenericClient, host: HostId, reason: &str) -> Result<(), Error> {
    const REVOKE: &str = "\
-- revoke
INSERT INTO host_revocation (host_uuid, reason) VALUES ($1, $2)
ON CONFLICT (host_uuid) DO UPDATE SET lifted_at = NULL,
    revoked_at = CASE WHEN host_revocation.lifted_at IS NULL THEN host_revocation.revoked_at ELSE now() END,
    reason = CASE WHEN $2 = '' THEN host_revocation.reason ELSE $2 END";
    const REVOKE_TOKENS: &str = "\
-- revoke_tokens
UPDATE enrolment_token SET revoked_at = now() WHERE host_uuid = $1 AND revoked_at IS NULL";
    client
        .execute(REVOKE, &[&host.0, &reason])
        .await
        .map_err(Error::statement("revoke"))?;
    client
        .execute(REVOKE_TOKENS, &[&host.0])
        .await
        .map_err(Error::statement("revoke_tokens"))?;
    revoke_certificates(client, host).await?;
    notify(client, host).await
}

async fn revoke_certificates(client: &impl GenericClient, host: HostId) -> Result<(), Error> {
    const REVOKE_CERTIFICATES: &str = "\
-- revoke_certificates
UPDATE certificate SET revoked_at = now() WHERE host_uuid = $1 AND revoked_at IS NULL";
    client
        .execute(REVOKE_CERTIFICATES, &[&host.0])
        .await
        .map_err(Error::statement("revoke_certificates"))?;
    Ok(())
}

async fn notify(client: &impl GenericClient, host: HostId) -> Result<(), Error> {
    const NOTIFY: &str = "\
-- notify_revocation
SELECT pg_notify('vmscope_revocation', $1::uuid::text)";
    client
        .execute(NOTIFY, &[&host.0])
        .await
        .map_err(Error::statement("notify_revocation"))?;
    Ok(())
}

/// Hears of revocations as they are committed.
#[derive(Debug)]
pub struct Watch {
    news: mpsc::Receiver<()>,
    // The connection ends with it.
    _client: Client,
}

impl Watch {
    /// Listens from now on.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn open(store: &Store) -> Result<Self, Error> {
        const LISTEN: &str = "\
-- listen
LISTEN vmscope_revocation";
        let (client, mut connection) = store.config().connect(NoTls).await.map_err(Error::Connect)?;
        let (sender, news) = mpsc::channel(NEWS);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if matches!(message, AsyncMessage::Notification(_)) {
                    // Full: there is something to look at anyway.
                    let _ = sender.try_send(());
                }
            }
        });
        client
            .batch_execute(LISTEN)
            .await
            .map_err(Error::statement("listen"))?;
        Ok(Self {
            news,
            _client: client,
        })
    }

    /// Waits for a revocation; `false` when the connection is lost. Cancel-safe.
    pub async fn changed(&mut self) -> bool {
        self.news.recv().await.is_some()
    }
}
