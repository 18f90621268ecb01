//! How far the tiers are made, and how far back they reach.

use crate::tier::hour_of;
use crate::{Error, Store, Tier};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::GenericClient;
use vmscope_model::Kind;

/// Up to when the buckets of these things are as their samples are; a thing that is not in the answer has no bucket that lacks
/// anything. What is later must be read from the samples, while they are there. Whole hours.
///
/// # Errors
/// The database's failures.
pub async fn rolled_until(
    store: &Store,
    kind: Kind,
    entity_ids: &[i32],
) -> Result<HashMap<i32, Timestamp>, Error> {
    rolled(&**store.get().await?, kind, entity_ids).await
}

/// [`rolled_until`], as a transaction sees it.
pub(crate) async fn rolled(
    client: &impl GenericClient,
    kind: Kind,
    entity_ids: &[i32],
) -> Result<HashMap<i32, Timestamp>, Error> {
    let hosts = match kind {
        Kind::Host => "SELECT id, id AS host_id FROM unnest($1::int4[]) AS e (id)",
        Kind::Vm => "SELECT vm_id AS id, host_id FROM vm_source WHERE vm_id = ANY ($1)",
        Kind::Vcpu | Kind::Disk | Kind::Nic => {
            "SELECT d.id, coalesce(s.host_id, d.host_id) AS host_id FROM device d LEFT JOIN vm_source s ON s.vm_id = d.vm_id\n\
             WHERE d.id = ANY ($1)"
        }
    };
    let statement = format!(
        "-- rolled_until\nSELECT e.id, min(least(p.dirty_from, p.rolling_from)) AS until\n\
         FROM ({hosts}) AS e JOIN ingest_progress p ON p.host_id = e.host_id\n\
         WHERE p.dirty_from IS NOT NULL OR p.rolling_from IS NOT NULL GROUP BY e.id"
    );
    let rows = client
        .query(&statement, &[&entity_ids])
        .await
        .map_err(Error::statement("rolled_until"))?;
    Ok(rows.iter().map(|row| (row.get(0), hour_of(row.get(1)))).collect())
}

/// Where each tier begins, in the order of [`Tier::ALL`]: retention has removed what is older. `None`: nothing was removed yet.
///
/// # Errors
/// The database's failures.
pub async fn kept_from(store: &Store) -> Result<[Option<Timestamp>; 3], Error> {
    kept(&**store.get().await?).await
}

/// [`kept_from`], as a transaction sees it.
pub(crate) async fn kept(client: &impl GenericClient) -> Result<[Option<Timestamp>; 3], Error> {
    const KEPT_FROM: &str = "\
-- kept_from
SELECT name, kept_from FROM tier";
    let rows = client
        .query(KEPT_FROM, &[])
        .await
        .map_err(Error::statement("kept_from"))?;
    Ok(Tier::ALL.map(|tier| {
        rows.iter()
            .find(|row| row.get::<_, &str>(0) == tier.name())
            .and_then(|row| row.get(1))
    }))
}

/// How long the oldest hour that is not made has been over; zero when every hour is made that is over.
///
/// # Errors
/// The database's failures.
pub async fn lag(store: &Store) -> Result<Duration, Error> {
    const OLDEST_DUE: &str = "\
-- oldest_due
SELECT now(), min(least(dirty_from, rolling_from)) FROM ingest_progress
WHERE dirty_from < date_bin('1 hour', now(), 'epoch'::timestamptz) OR rolling_from IS NOT NULL";
    let client = store.get().await?;
    let row = client
        .query_one(OLDEST_DUE, &[])
        .await
        .map_err(Error::statement("oldest_due"))?;
    let (now, oldest): (Timestamp, Option<Timestamp>) = (row.get(0), row.get(1));
    let lag = oldest.map(|oldest| now.duration_since(hour_of(oldest)) - SignedDuration::from_hours(1));
    Ok(lag
        .and_then(|lag| Duration::try_from(lag).ok())
        .unwrap_or_default())
}
