//! What is kept of things: since when in which tier, and how far it is rolled up.

use super::parts::{Held, Subject};
use super::{Query, Tier};
use crate::instant::BELIEVED_US;
use crate::schema::layout;
use crate::tier::hour_of;
use crate::{Error, rollup};
use jiff::Timestamp;
use tokio_postgres::{GenericClient, Row};
use vmscope_model::Kind;

/// Before this moment nothing is believed to have been sampled.
pub(super) fn first() -> Timestamp {
    Timestamp::from_microsecond(BELIEVED_US.start).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The things with these ids that a host samples or sampled, with their hosts.
pub(super) async fn subjects(
    client: &impl GenericClient,
    kind: Kind,
    entities: &[i32],
) -> Result<Vec<Subject>, Error> {
    let things = match kind {
        Kind::Host => "SELECT id, id AS host_id FROM host",
        Kind::Vm => "SELECT id, host_id FROM vm WHERE host_id IS NOT NULL",
        Kind::Vcpu | Kind::Disk | Kind::Nic => "SELECT id, host_id FROM device",
    };
    let statement = format!(
        "-- history_subjects\nSELECT t.id, t.host_id, now() FROM ({things}) AS t WHERE t.id = ANY ($1)"
    );
    let rows = client
        .query(&statement, &[&entities])
        .await
        .map_err(Error::statement("history_subjects"))?;
    let rolled = rollup::rolled(client, kind, entities).await?;
    let subject = |row: &Row| {
        let entity_id = row.get(0);
        Subject {
            entity_id,
            host_id: row.get(1),
            // What lacks nothing, lacks nothing of all hours that are over.
            rolled_until: rolled
                .get(&entity_id)
                .copied()
                .unwrap_or_else(|| hour_of(row.get(2))),
        }
    };
    Ok(rows.iter().map(subject).collect())
}

/// Since when there is what.
pub(super) async fn held(client: &impl GenericClient) -> Result<Held, Error> {
    let [raw, hour, _] = rollup::kept(client).await?;
    Ok(Held {
        raw_from: raw.unwrap_or_else(first),
        hour_from: hour.unwrap_or_else(first),
    })
}

/// Whether a rolled tier has something of the things in a span.
pub(super) async fn has(
    client: &impl GenericClient,
    query: &Query,
    tier: Tier,
    from: Timestamp,
    to: Timestamp,
) -> Result<bool, Error> {
    let statement = format!(
        "-- history_has\nSELECT EXISTS (SELECT FROM {} WHERE entity_id = ANY ($1) AND time >= $2 AND time < $3)",
        layout::tier_table(query.kind, tier)
    );
    let row = client
        .query_one(&statement, &[&query.entities, &from.max(first()), &to])
        .await
        .map_err(Error::statement("history_has"))?;
    Ok(row.get(0))
}
