//! The certificates that collectors have signed, and whether a host that shows one is let in.

use crate::enrolment::{Denied, Failure};
use crate::{Error, REPORTING_S, Store};
use jiff::Timestamp;
use std::time::SystemTime;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;
use vmscope_model::HostId;

/// A certificate that was signed and is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// The SHA-256 of its key.
    pub key_sha256: [u8; 32],
    /// The SHA-256 of the root that signed it.
    pub root_sha256: [u8; 32],
    /// Until when it is valid.
    pub expires_at: SystemTime,
}

/// A certificate that a host shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shown {
    /// The host that it names.
    pub host: HostId,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// Whether each of these is let in.
///
/// A revoked host is not; one that was revoked once only with a certificate that is recorded and not revoked; any other
/// one also with a certificate that is not recorded, as those that `ca issue` makes by hand.
///
/// # Errors
/// The database's failures.
pub async fn admitted(store: &Store, shown: &[Shown]) -> Result<Vec<bool>, Error> {
    let client = store.get().await?;
    ask_admitted(&**client, shown).await
}

async fn ask_admitted(client: &impl GenericClient, shown: &[Shown]) -> Result<Vec<bool>, Error> {
    const ADMITTED: &str = "\
-- admitted
SELECT CASE WHEN r.host_uuid IS NULL THEN c.revoked_at IS NULL
    ELSE r.lifted_at IS NOT NULL AND c.sha256 IS NOT NULL AND c.revoked_at IS NULL END
FROM unnest($1::uuid[], $2::bytea[]) WITH ORDINALITY AS s (host_uuid, sha256, number)
LEFT JOIN host_revocation r ON r.host_uuid = s.host_uuid
LEFT JOIN certificate c ON c.sha256 = s.sha256 AND c.host_uuid = s.host_uuid
ORDER BY s.number";
    let hosts: Vec<Uuid> = shown.iter().map(|shown| shown.host.0).collect();
    let names: Vec<&[u8]> = shown.iter().map(|shown| shown.sha256.as_slice()).collect();
    let rows = client
        .query(ADMITTED, &[&hosts, &names])
        .await
        .map_err(Error::statement("admitted"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Records the successor that `sign` makes of a certificate that is still let in.
///
/// # Errors
/// [`Failure`] says why nothing was recorded.
pub async fn renew<E>(
    store: &Store,
    current: Shown,
    sign: impl FnOnce() -> Result<NewCertificate, E>,
) -> Result<(), Failure<E>> {
    let mut client = store.get().await?;
    let transaction = client.transaction().await.map_err(Error::statement("renew"))?;
    lock_host(&*transaction, current.host).await?;
    if ask_admitted(&*transaction, &[current]).await? != [true] {
        return Err(Failure::Denied(Denied::HostRevoked));
    }
    let signed = sign().map_err(Failure::Unsigned)?;
    record(&*transaction, current.host, None, &signed).await?;
    transaction
        .commit()
        .await
        .map_err(Error::statement("renew"))
        .map_err(Failure::Database)
}

/// A host as an operator of certificates sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCertificates {
    /// Its UUID.
    pub host: HostId,
    /// Its name; empty while it has never reported.
    pub name: String,
    /// When its newest stored sample was taken.
    pub last_sample_at: Option<Timestamp>,
    /// That was in the last [`REPORTING_S`].
    pub reporting: bool,
    /// When the newest recorded certificate that is not revoked expires.
    pub expires_at: Option<Timestamp>,
    /// The SHA-256 of the root that signed it.
    pub root_sha256: Option<Vec<u8>>,
    /// Since when nobody is let in for it.
    pub revoked_at: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
}

/// Every host with its newest certificate, by name; those that were removed only when asked for.
///
/// # Errors
/// The database's failures.
pub async fn list_hosts(store: &Store, with_removed: bool) -> Result<Vec<HostCertificates>, Error> {
    const LIST_CERTIFICATES: &str = "\
-- list_certificates
SELECT u.uuid, coalesce(h.name, ''), p.last_sample_at,
    coalesce(p.last_sample_at >= now() - make_interval(secs => $1::int8::float8), false),
    c.expires_at, c.root_sha256, CASE WHEN r.lifted_at IS NULL THEN r.revoked_at END, coalesce(r.reason, ''), r.removed_at
FROM (SELECT uuid FROM host UNION SELECT host_uuid FROM certificate UNION SELECT host_uuid FROM host_revocation) AS u
LEFT JOIN host h ON h.uuid = u.uuid
LEFT JOIN LATERAL (SELECT max(last_tick_at) AS last_sample_at FROM ingest_progress WHERE host_id = h.id) AS p ON true
LEFT JOIN LATERAL (
    SELECT expires_at, root_sha256 FROM certificate
    WHERE host_uuid = u.uuid AND revoked_at IS NULL ORDER BY issued_at DESC LIMIT 1
) AS c ON true
LEFT JOIN host_revocation r ON r.host_uuid = u.uuid
WHERE $2 OR r.removed_at IS NULL
ORDER BY 2, 1";
    let client = store.get().await?;
    let rows = client
        .query(LIST_CERTIFICATES, &[&REPORTING_S, &with_removed])
        .await
        .map_err(Error::statement("list_certificates"))?;
    let host = |row: &Row| HostCertificates {
        host: HostId(row.get(0)),
        name: row.get(1),
        last_sample_at: row.get(2),
        reporting: row.get(3),
        expires_at: row.get(4),
        root_sha256: row.get(5),
        revoked_at: row.get(6),
        reason: row.get(7),
        removed_at: row.get(8),
    };
    Ok(rows.iter().map(host).collect())
}

/// Holds the host's lock until the end of the transaction: its certificates and its revocation change one after the other.
pub(crate) async fn lock_host(client: &impl GenericClient, host: HostId) -> Result<(), Error> {
    const LOCK_HOST: &str = "\
-- lock_host
SELECT pg_advisory_xact_lock(hashtextextended('certificates of ' || $1::uuid::text, 0))";
    client
        .execute(LOCK_HOST, &[&host.0])
        .await
        .map_err(Error::statement("lock_host"))?;
    Ok(())
}

/// Adds a certificate's row.
pub(crate) async fn record(
    client: &impl GenericClient,
    host: HostId,
    token_id: Option<&str>,
    certificate: &NewCertificate,
) -> Result<(), Error> {
    const RECORD_CERTIFICATE: &str = "\
-- record_certificate
INSERT INTO certificate (sha256, host_uuid, key_sha256, root_sha256, token_id, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)";
    let expires_at = Timestamp::try_from(certificate.expires_at).map_err(|_| Error::Range {
        what: "expiry of a certificate",
        number: 0,
    })?;
    client
        .execute(
            RECORD_CERTIFICATE,
            &[
                &certificate.sha256.as_slice(),
                &host.0,
                &certificate.key_sha256.as_slice(),
                &certificate.root_sha256.as_slice(),
                &token_id,
                &expires_at,
            ],
        )
        .await
        .map_err(Error::statement("record_certificate"))?;
    Ok(())
}
